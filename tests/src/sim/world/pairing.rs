//! Two people who want to be in touch, and go on trying: a mind outlives its phone's power.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use zajil_client::engine::api::{Failure, Pairing, Receipts, Reply, Request, SeenPrecision};

use super::phone::{NoAnswer, Phone, ask};
use super::{World, eyes, name};
use crate::sim::plan::{GivesReceipts, Millis, PersonId, TellsSeen};
use crate::sim::record::Seen;

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(600);
/// Between two attempts once everybody is online, and until a link that is on its way arrives then.
const PAUSE_IN_CALM: Duration = Duration::from_secs(20);
/// Attempts until somebody gives up: ten days of trying.
const ATTEMPTS_MAX: u32 = 1_440;

/// How two people pair.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) inviter: PersonId,
    pub(super) invited: PersonId,
    pub(super) in_person: bool,
    pub(super) link_takes: Millis,
}

/// Tries until both are confirmed, or there is no sense in going on.
pub(super) async fn pair(world: &Rc<World>, wish: Wish) {
    world.pairing_begins();
    match attempt(world, wish).await {
        Ok(()) => world.see(Seen::Paired(wish.inviter, wish.invited)),
        Err(why) => world.see(Seen::PairingFailed(wish.inviter, wish.invited, why)),
    }
    world.pairing_ends();
}

async fn attempt(world: &Rc<World>, wish: Wish) -> Result<(), String> {
    let (Some(inviter), Some(invited)) = (world.phone(wish.inviter), world.phone(wish.invited)) else {
        return Err("one of them takes no part".into());
    };
    let Some(link) = invite(world, &inviter, wish.invited).await? else { return Ok(()) };
    world.link_is_passed(wish.inviter, wish.invited, &link);
    rest(world, Duration::from_millis(wish.link_takes)).await;
    let return_code = accept(world, &invited, wish, &link).await?;
    if let Some(code) = return_code.filter(|_| wish.in_person) {
        take_return(world, &inviter, wish.invited, code).await?;
    }
    for _ in 0..ATTEMPTS_MAX {
        if confirmed(world, &inviter, &invited, wish).await {
            tell(world, &inviter, wish.invited).await;
            tell(world, &invited, wish.inviter).await;
            eyes::look(world, &inviter).await;
            eyes::look(world, &invited).await;
            return Ok(());
        }
        pause(world).await;
    }
    Err("the digits were never compared".into())
}

async fn pause(world: &World) {
    rest(world, PAUSE).await;
}

/// Lets time pass, but little of the calm: what began before it, were it ten minutes or a link that takes days, must not outlast
/// the time in which everything has to settle.
async fn rest(world: &World, usual: Duration) {
    let now = Instant::now();
    let calm = world.start + Duration::from_millis(world.plan.calm_at);
    tokio::time::sleep_until((now + usual).min(now.max(calm) + PAUSE_IN_CALM)).await;
}

/// Makes a link. `None` if they know each other already.
async fn invite(world: &Rc<World>, inviter: &Rc<Phone>, invited: PersonId) -> Result<Option<String>, String> {
    for _ in 0..ATTEMPTS_MAX {
        match ask(world, inviter, Request::Invite { name: name(invited) }).await {
            Ok(Reply::Invited { link, .. }) => return Ok(Some(link)),
            Ok(reply) => return Err(format!("a strange answer to an invitation: {reply:?}")),
            Err(NoAnswer::Failed(Failure::NameTaken { .. })) => match known(world, inviter, invited).await {
                // The program said that it failed, or could say nothing more, and kept the invitation: its link is lost.
                Some(Pairing::Invited) => return Err("the link was never shown".into()),
                _ => return Ok(None),
            },
            Err(NoAnswer::Failed(failure)) => {
                world.see(Seen::Failed(inviter.id, format!("inviting person {invited}"), failure));
            }
            Err(NoAnswer::Off) => {}
        }
        pause(world).await;
    }
    Err("no link could be made".into())
}

/// Takes up the link. Returns the return code if the program still shows it.
async fn accept(world: &Rc<World>, invited: &Rc<Phone>, wish: Wish, link: &str) -> Result<Option<String>, String> {
    for _ in 0..ATTEMPTS_MAX {
        let accept = Request::Accept { name: name(wish.inviter), link: link.into(), in_person: wish.in_person };
        match ask(world, invited, accept).await {
            Ok(Reply::Accepted { return_code, .. }) => {
                let whose = || format!("the return code of person {}", invited.id);
                world.secrets.keep(whose, return_code.as_bytes());
                return Ok(Some(return_code));
            }
            Ok(reply) => return Err(format!("a strange answer to a link: {reply:?}")),
            // An earlier attempt had been kept after all.
            Err(NoAnswer::Failed(Failure::NameTaken { .. })) => return Ok(None),
            Err(NoAnswer::Failed(
                failure @ (Failure::LinkExpired | Failure::LinkUsed | Failure::LinkForged | Failure::BadLink),
            )) => {
                if known(world, invited, wish.inviter).await.is_some() {
                    return Ok(None);
                }
                return Err(failure.to_string());
            }
            Err(NoAnswer::Failed(failure)) => {
                world.see(Seen::Failed(invited.id, format!("taking up the link of person {}", wish.inviter), failure));
            }
            Err(NoAnswer::Off) => {}
        }
        pause(world).await;
    }
    Err("the link could not be taken up".into())
}

async fn take_return(world: &Rc<World>, inviter: &Rc<Phone>, invited: PersonId, code: String) -> Result<(), String> {
    for _ in 0..ATTEMPTS_MAX {
        let take = Request::TakeReturn { name: name(invited), code: code.clone() };
        match ask(world, inviter, take).await {
            Ok(_) => return Ok(()),
            Err(NoAnswer::Failed(failure @ (Failure::WrongReturnCode | Failure::UnknownContact { .. }))) => {
                return Err(failure.to_string());
            }
            Err(_) => pause(world).await,
        }
    }
    Err("the return code could not be taken".into())
}

/// Compares digits over the telephone, if both have them, and says whether both are confirmed.
async fn confirmed(world: &Rc<World>, a: &Rc<Phone>, b: &Rc<Phone>, wish: Wish) -> bool {
    let mine = digits(world, a, wish.invited, None).await;
    let theirs = digits(world, b, wish.inviter, None).await;
    let (Some((mine, a_confirmed)), Some((theirs, b_confirmed))) = (mine, theirs) else { return false };
    if mine != theirs {
        // Somebody stands between them, or a link was stolen: they notice, and confirm nothing.
        return false;
    }
    let mut all = true;
    for (phone, other, is_confirmed, right) in
        [(a, wish.invited, a_confirmed, &theirs), (b, wish.inviter, b_confirmed, &mine)]
    {
        if is_confirmed {
            continue;
        }
        if world.hesitates(phone.id, other) {
            all = false;
            continue;
        }
        mishears(world, phone, other, right).await;
        all &= digits(world, phone, other, Some(right.clone())).await.is_some_and(|(_, now)| now);
    }
    all
}

/// Somebody mishears the last digit at first: nobody is confirmed by that.
async fn mishears(world: &Rc<World>, phone: &Rc<Phone>, other: PersonId, right: &str) {
    let Some(at) = right.rfind(|letter: char| letter.is_ascii_digit()) else { return };
    let mut wrong = right.to_owned();
    wrong.replace_range(at..=at, if right[at..].starts_with('7') { "8" } else { "7" });
    if let Some((_, true)) = digits(world, phone, other, Some(wrong)).await {
        world.see(Seen::Breach(format!("person {} holds {} for confirmed by wrong digits", phone.id, name(other))));
    }
}

async fn digits(
    world: &Rc<World>,
    phone: &Rc<Phone>,
    other: PersonId,
    heard: Option<String>,
) -> Option<(String, bool)> {
    match ask(world, phone, Request::Verify { name: name(other), digits: heard }).await {
        Ok(Reply::Digits { digits, confirmed }) => {
            let whose = || format!("the digits of person {} and {}", phone.id, name(other));
            world.secrets.keep(whose, digits.as_bytes());
            Some((digits, confirmed))
        }
        _ => None,
    }
}

/// Says what the other is told.
async fn tell(world: &Rc<World>, phone: &Rc<Phone>, other: PersonId) {
    let receipts = match phone.person.receipts {
        GivesReceipts::Off => Receipts::Off,
        GivesReceipts::Later => Receipts::Later,
        GivesReceipts::AtOnce => Receipts::AtOnce,
    };
    for _ in 0..ATTEMPTS_MAX {
        let seen = Some(precision(phone.person.seen));
        let set = Request::SetContact { name: name(other), receipts: Some(receipts), seen };
        if ask(world, phone, set).await.is_ok() {
            return;
        }
        pause(world).await;
    }
}

/// Returns what the program calls a precision.
pub(super) fn precision(tells: TellsSeen) -> SeenPrecision {
    match tells {
        TellsSeen::Off => SeenPrecision::Off,
        TellsSeen::SixHours => SeenPrecision::SixHours,
        TellsSeen::Day => SeenPrecision::Day,
    }
}

/// How far a pairing is as one phone sees it; `None` if it knows no such contact.
async fn known(world: &Rc<World>, phone: &Rc<Phone>, other: PersonId) -> Option<Pairing> {
    let Ok(Reply::Contacts(contacts)) = ask(world, phone, Request::Contacts).await else { return None };
    contacts.into_iter().find(|contact| contact.name == name(other)).map(|contact| contact.pairing)
}
