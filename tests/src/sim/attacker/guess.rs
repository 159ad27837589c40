//! Tries every door without its key, and listens for a difference between one that is there and one that is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use zajil_proto::ids::{MailboxId, ParcelId, ReadTag, SlotId};
use zajil_proto::keys::{Purpose, SigningKey, VerifyingKey};
use zajil_proto::limits::BODY_FRAME_BYTES_MAX;
use zajil_proto::parcel::{Header, MarkChain, Travel};
use zajil_proto::random::{self, Random};
use zajil_proto::time::Lifetime;
use zajil_proto::wire::{Code, Frame, Precision, Prove, PutStart, PutState, Register, Scope, Word, WordLive, WordPut};

use super::AttackScene;
use super::estate::{Estate, Keeper, Meanwhile, word};
use super::peer::Peer;
use crate::parcels::{OwnParcel, Pair};

/// Guesses of each kind, at most; more would only repeat.
const ROUNDS_MAX: u16 = 64;
/// Answers of two kinds after which their times are compared. All of one later than all of the other happens by chance
/// once in a million such comparisons, whatever the link does: C(24, 12) is 2.7 million.
const TIMED_MIN: usize = 12;
/// Things of other people that are tried in one deed.
const OTHERS_MAX: usize = 4;

/// A door to try: everything public about a mailbox and a slot, and a parcel in the mailbox.
#[derive(Debug, Clone, Copy)]
struct Door {
    /// What is behind it.
    behind: &'static str,
    write_key: VerifyingKey,
    read_tag: ReadTag,
    mailbox: MailboxId,
    slot: SlotId,
    parcel: ParcelId,
}

/// What can be asked at a door without its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    Watch,
    Release,
    Seen,
    DropMailbox,
    DropSlot,
    Register,
}

const QUESTIONS: [Question; 6] =
    [Question::Watch, Question::Release, Question::Seen, Question::DropMailbox, Question::DropSlot, Question::Register];

/// What may be asked of what one can prove, though it may not be there any more.
const PROVEN_QUESTIONS: [Question; 3] = [Question::Watch, Question::Release, Question::Seen];

/// An answer, and what must not differ in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Until it came.
    pub(super) millis: u64,
    /// What was said, without what names the door.
    pub(super) bytes: Vec<u8>,
}

/// All answers, by question and by what is behind the door.
pub(super) type Answers = BTreeMap<(Question, &'static str), Vec<Answer>>;

/// The name of a door with nothing behind it: what all others are compared with.
pub(super) const NOTHING: &str = "nothing";

/// Tries everything, `tries` times.
pub(super) async fn guess(scene: &mut AttackScene, tries: u16) -> Vec<String> {
    let network = Arc::clone(&scene.network);
    let estate = match Keeper::open(scene, &network).await {
        Some(mut keeper) => keeper.lay_out(scene).await,
        None => None,
    };
    let Some(estate) = estate else { return Vec::new() };
    let rounds = tries.clamp(1, ROUNDS_MAX);
    let mut breaches = listen_at_doors(scene, &estate, rounds).await;
    breaches.extend(listen_inside(scene, &estate, rounds).await);
    breaches.extend(force(scene, &estate).await);
    let _unreachable = pass_on_what_is_older(scene, &estate).await;
    breaches.extend(estate.damage(scene, Meanwhile::Nothing).await);
    // What is not given back, goes by itself.
    let _unreachable = estate.clear(scene).await;
    breaches
}

/// Asks at doors whose keys are not shown.
async fn listen_at_doors(scene: &mut AttackScene, estate: &Estate, rounds: u16) -> Vec<String> {
    let parcel = estate.parcel.id();
    let mut doors = vec![
        Door::of("a parcel and a word", &estate.filled, Some(&estate.told), parcel),
        Door::of("a mailbox and a slot without anything", &estate.empty, Some(&estate.untold), parcel),
        Door::of("what was dropped", &estate.dropped, Some(&estate.revoked), parcel),
    ];
    doors.extend(scene.doors_of_others());
    let Some(mut peer) = scene.peer().await.filter(|peer| peer.welcome.epoch == estate.epoch) else {
        return Vec::new();
    };
    listen(scene, &mut peer, &doors, &QUESTIONS, rounds).await
}

/// Asks for what one can prove: a contact whose slot was taken away must not learn it. What one has proven opens no other door.
async fn listen_inside(scene: &mut AttackScene, estate: &Estate, rounds: u16) -> Vec<String> {
    let parcel = estate.parcel.id();
    let doors = [
        Door::of("a mailbox and a slot without anything, of one's own", &estate.empty, Some(&estate.untold), parcel),
        Door::of("what was dropped, of one's own", &estate.dropped, Some(&estate.revoked), parcel),
        Door::of("another door than one's own", &estate.filled, Some(&estate.told), parcel),
    ];
    let Some(mut peer) = scene.peer().await.filter(|peer| peer.welcome.epoch == estate.epoch) else {
        return Vec::new();
    };
    for (scope, pair) in [
        (Scope::Mailbox, &estate.empty),
        (Scope::Slot, &estate.untold),
        (Scope::Mailbox, &estate.dropped),
        (Scope::Slot, &estate.revoked),
    ] {
        let prove = Prove::sign(scope, pair.write.public(), &pair.read, &peer.exporter);
        peer.say(&Frame::Prove(prove)).await;
    }
    listen(scene, &mut peer, &doors, &PROVEN_QUESTIONS, rounds).await
}

/// Asks every question at every door and at one that leads nowhere, in a new order each time, and compares.
async fn listen(
    scene: &mut AttackScene,
    peer: &mut Peer,
    doors: &[Door],
    questions: &[Question],
    rounds: u16,
) -> Vec<String> {
    let (mut answers, mut breaches) = (Answers::new(), Vec::new());
    for _ in 0..rounds {
        let nowhere =
            Door::of(NOTHING, &Pair::draw(&mut scene.chance), None, ParcelId(random::bytes(&mut scene.chance)));
        let at_each = |question: &Question| {
            let question = *question;
            doors.iter().chain([&nowhere]).map(move |door| (question, *door))
        };
        let mut asked: Vec<(Question, Door)> = questions.iter().flat_map(at_each).collect();
        scene.chance.shuffle(&mut asked);
        for (question, door) in asked {
            let began = scene.clock.now();
            peer.say(&question.frame(&door)).await;
            let Some(bytes) = answer(peer, question, &door, &mut breaches).await else { return breaches };
            scene.answers += 1;
            let millis = u64::try_from(scene.clock.now().since(began).as_millis()).unwrap_or(u64::MAX);
            answers.entry((question, door.behind)).or_default().push(Answer { millis, bytes });
        }
    }
    breaches.extend(told_apart(&answers));
    breaches
}

/// Waits for what is said to a question, with what names the door taken out. `None`: the session is over.
async fn answer(peer: &mut Peer, question: Question, door: &Door, breaches: &mut Vec<String>) -> Option<Vec<u8>> {
    loop {
        let frame = peer.hear().await?;
        let is_it = match &frame {
            Frame::Drained { .. } => question == Question::Watch,
            Frame::Released { .. } => question == Question::Release,
            Frame::SeenAnswer(answer) => {
                if answer.version != 0 || answer.sealed.iter().any(|byte| *byte != 0) {
                    breaches.push(format!("a word without the key of its slot ({})", door.behind));
                }
                question == Question::Seen
            }
            Frame::Answer { code, .. } => {
                if question == Question::Register && *code == Code::OK {
                    breaches.push(format!("registered without a proof ({})", door.behind));
                }
                !matches!(question, Question::Watch | Question::Release | Question::Seen)
            }
            Frame::Parcel(_) | Frame::Body { .. } | Frame::Mark { .. } => {
                breaches.push(format!("{} of a parcel without the key of its mailbox", frame.name()));
                false
            }
            Frame::Close { .. } => return None,
            _ => false,
        };
        if is_it {
            return Some(without(&frame.encode(), &[door.mailbox.0, door.slot.0, door.parcel.0]));
        }
    }
}

/// Returns bytes with every place in which one of `names` stands filled with zeros.
fn without(bytes: &[u8], names: &[[u8; 16]]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for name in names {
        let places: Vec<usize> =
            bytes.windows(name.len()).enumerate().filter(|(_, at)| at == name).map(|(at, _)| at).collect();
        for place in places {
            out[place..place + name.len()].fill(0);
        }
    }
    out
}

/// Says which answers differ from those for what is not there.
pub(super) fn told_apart(answers: &Answers) -> Vec<String> {
    let mut breaches = Vec::new();
    for ((question, behind), heard) in answers.iter().filter(|((_, behind), _)| *behind != NOTHING) {
        let Some(nothing) = answers.get(&(*question, NOTHING)) else { continue };
        let Some(usual) = nothing.first() else { continue };
        if heard.iter().chain(nothing).any(|answer| answer.bytes != usual.bytes) {
            breaches.push(format!("{question:?} tells {behind} from nothing by what is said"));
        }
        if heard.len().min(nothing.len()) < TIMED_MIN {
            continue;
        }
        let span = |answers: &[Answer]| {
            let times = answers.iter().map(|answer| answer.millis);
            (times.clone().min().unwrap_or_default(), times.max().unwrap_or_default())
        };
        let ((first, last), (nothing_first, nothing_last)) = (span(heard), span(nothing));
        if first > nothing_last || nothing_first > last {
            breaches.push(format!(
                "{question:?} tells {behind} from nothing by its time: {first} to {last} ms, \
                 {nothing_first} to {nothing_last} ms"
            ));
        }
    }
    breaches
}

/// Says what only somebody with keys may say. Each of these ends the session, or is refused.
async fn force(scene: &mut AttackScene, estate: &Estate) -> Vec<String> {
    let mut breaches = Vec::new();
    for (what, opens, make) in FORCED {
        let Some(mut peer) = scene.peer().await.filter(|peer| peer.welcome.epoch == estate.epoch) else {
            return breaches;
        };
        for bytes in make(scene, estate, &peer.exporter) {
            peer.say_bytes(bytes).await;
        }
        // Nothing of ours follows: what is not refused is answered, and then nothing is said until the relay hangs up.
        while let Some(frame) = peer.hear().await {
            if let Frame::Close { .. } = frame {
                scene.answers += 1;
                break;
            }
            if grants(&frame, opens) {
                breaches.push(format!("{what} was accepted: {}", frame.name()));
            }
        }
    }
    breaches
}

/// Returns whether a frame gives something, or says that something was taken. `opens`: not that a parcel may begin to come.
fn grants(frame: &Frame, opens: bool) -> bool {
    match frame {
        Frame::PutAnswer { state: PutState::Open, durable, .. } => !opens || *durable > 0,
        Frame::Answer { code: Code::OK, .. }
        | Frame::PutAnswer { state: PutState::Stored, .. }
        | Frame::Parcel(_)
        | Frame::Body { .. }
        | Frame::Mark { .. }
        | Frame::Ticket { .. } => true,
        _ => false,
    }
}

/// Passes on a word that is older than the relay's, as anybody may who has it. It must change nothing.
async fn pass_on_what_is_older(scene: &mut AttackScene, estate: &Estate) -> Option<()> {
    let mut peer = scene.peer().await?;
    peer.say(&passed_on(estate.words[0].clone())).await;
    while !matches!(peer.hear().await?, Frame::Answer { .. }) {}
    scene.answers += 1;
    Some(())
}

/// Makes what is said, for somebody without keys, in the session with that exporter.
type Forged = fn(&mut AttackScene, &Estate, &[u8; 32]) -> Vec<Vec<u8>>;

/// What is forged, whether a parcel may begin to come by what is true of it, and how.
const FORCED: [(&str, bool, Forged); 9] = [
    ("a proof with another key", false, |scene, estate, exporter| {
        let stranger = SigningKey::draw(&mut scene.chance);
        let (write_key, read_key) = (estate.filled.write.public(), estate.filled.read.public());
        let prove = Prove { read_key, ..Prove::sign(Scope::Mailbox, write_key, &stranger, exporter) };
        let mailbox = estate.filled.mailbox();
        let watch = Frame::Watch { mailbox, live: false, more: false, held: Vec::new() };
        vec![Frame::Prove(prove).encode(), watch.encode()]
    }),
    ("a word signed with another key", false, |scene, estate, _| {
        let stranger = Pair { write: SigningKey::draw(&mut scene.chance), read: estate.told.read.clone() };
        let forged = Word { write_key: estate.told.write.public(), ..word(&mut scene.chance, &stranger, 9) };
        vec![passed_on(forged).encode()]
    }),
    ("a word as its owner's own, by somebody who passes it on", false, |scene, estate, exporter| {
        let stranger = SigningKey::draw(&mut scene.chance);
        let forged = WordPut::live(1, estate.words[1].clone(), &stranger, exporter);
        vec![Frame::WordPut(forged).encode()]
    }),
    ("a withdrawal with another key", false, |scene, estate, _| {
        let stranger = SigningKey::draw(&mut scene.chance);
        let (write_key, read_tag) = (estate.filled.write.public(), estate.filled.read_tag());
        let (mailbox, id) = (estate.filled.mailbox(), estate.parcel.id());
        let signature = stranger.sign(Purpose::Withdraw, &[&mailbox.0, &id.0]);
        let parcel_key = estate.parcel.key.public();
        vec![Frame::Withdraw { request: 1, write_key, read_tag, parcel_key, signature }.encode()]
    }),
    ("a parcel with a changed header", false, |_, estate, _| {
        let mut header = *estate.parcel.parcel.header.as_bytes();
        header[90] ^= 1;
        vec![Frame::Put(PutStart { transfer: 0, offset: 0, header, travel: Travel::default() }).encode()]
    }),
    ("a parcel for somebody else's mailbox", false, |scene, estate, _| {
        let stranger = SigningKey::draw(&mut scene.chance);
        let (read_tag, parcel_key) = (estate.filled.read_tag(), stranger.public());
        let own =
            Header::sign(estate.parcel.parcel.header.class(), &stranger, read_tag, parcel_key, Lifetime::DEFAULT, 10);
        let mut header = *own.as_bytes();
        header[2..34].copy_from_slice(estate.filled.write.public().as_bytes());
        vec![Frame::Put(PutStart { transfer: 0, offset: 0, header, travel: Travel::default() }).encode()]
    }),
    ("a parcel's header with other bytes behind it", true, |scene, estate, _| {
        let mut parcel = estate.empty.parcel(&mut scene.chance, 1, Lifetime::DEFAULT);
        scene.chance.fill(&mut parcel.parcel.body);
        whole(&parcel)
    }),
    ("a parcel that another key vouches for", true, |scene, estate, _| {
        let mut parcel = estate.empty.parcel(&mut scene.chance, 1, Lifetime::DEFAULT);
        let (header, stranger) = (parcel.parcel.header.clone(), SigningKey::draw(&mut scene.chance));
        parcel.parcel.marks = vec![MarkChain::new(&header).sign(&stranger, &parcel.parcel.body, true)];
        whole(&parcel)
    }),
    ("a word as its owner's own, by somebody who says so after it was passed on", false, |_, estate, exporter| {
        let word = estate.words[1].clone();
        let forged = WordLive::sign(2, (word.slot(), word.version), &estate.parcel.key, exporter);
        vec![Frame::WordLive(forged).encode()]
    }),
];

/// Says all of a parcel.
fn whole(parcel: &OwnParcel) -> Vec<Vec<u8>> {
    let (header, travel) = (*parcel.parcel.header.as_bytes(), Travel::default());
    let mut said = vec![Frame::Put(PutStart { transfer: 0, offset: 0, header, travel }).encode()];
    let mut offset = 0;
    for bytes in parcel.parcel.body.chunks(BODY_FRAME_BYTES_MAX) {
        said.push(Frame::Body { transfer: 0, offset, bytes: bytes.to_vec() }.encode());
        offset += u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    }
    said.extend(parcel.parcel.marks.iter().map(|mark| Frame::Mark { transfer: 0, mark: *mark }.encode()));
    said
}

fn passed_on(word: Word) -> Frame {
    Frame::WordPut(WordPut::passed_on(1, word))
}

impl Door {
    /// A door to a mailbox and, if there is one, a slot.
    fn of(behind: &'static str, mailbox: &Pair, slot: Option<&Pair>, parcel: ParcelId) -> Self {
        Self {
            behind,
            write_key: mailbox.write.public(),
            read_tag: mailbox.read_tag(),
            mailbox: mailbox.mailbox(),
            slot: slot.unwrap_or(mailbox).slot(),
            parcel,
        }
    }
}

impl AttackScene {
    /// Doors of other people, as far as a stolen list names them.
    fn doors_of_others(&mut self) -> Vec<Door> {
        let mut headers = self.known.headers.clone();
        self.chance.shuffle(&mut headers);
        headers.truncate(OTHERS_MAX);
        let doors = headers.iter().map(|header| Door {
            behind: "other people's things",
            write_key: *header.write_key(),
            read_tag: *header.read_tag(),
            mailbox: header.mailbox(),
            slot: if self.known.slots.is_empty() {
                SlotId(random::bytes(&mut self.chance))
            } else {
                *self.chance.pick(&self.known.slots)
            },
            parcel: header.id(),
        });
        doors.collect()
    }
}

impl Question {
    fn frame(self, door: &Door) -> Frame {
        // One number for all: that of an answer must not be what tells two apart.
        let request = 1;
        match self {
            Self::Watch => Frame::Watch { mailbox: door.mailbox, live: false, more: false, held: Vec::new() },
            Self::Release => Frame::Release { mailbox: door.mailbox, ids: vec![door.parcel] },
            Self::Seen => Frame::SeenGet { request, slot: door.slot },
            Self::DropMailbox => Frame::Drop { request, scope: Scope::Mailbox, id: door.mailbox.0 },
            Self::DropSlot => Frame::Drop { request, scope: Scope::Slot, id: door.slot.0 },
            Self::Register => Frame::Register(Register {
                request,
                scope: Scope::Mailbox,
                write_key: door.write_key,
                read_tag: door.read_tag,
                parcels_max: 0,
                bytes_max: 0,
                valid_hours: 0,
                precision: Precision::SixHours,
                homes: Vec::new(),
                admission: String::new(),
            }),
        }
    }
}
