//! The safeguards that can be switched off, one at a time.

use super::named;

named! {
    /// A safeguard that the simulated world can take away. Each says what goes wrong then, on purpose.
    Switch {
        /// The relay's store answers before its commit: *stored* is said of what a power cut would take.
        StoredBeforeSync = "stored-before-sync",
        /// The relay says *stored* at any durable mark of a parcel, not only at the last.
        StoredBeforeLastMark = "stored-before-last-mark",
        /// The relay keeps the quota of released parcels in memory only: with the next start all of it is free.
        FreedNotKept = "freed-not-kept",
        /// The relay's store does not write down how late it is: with every start its clock begins anew.
        ClockNotKept = "clock-not-kept",
        /// The relay's store ends no invitation whose time is over.
        InvitationNeverEnds = "invitation-never-ends",
        /// A relay goes on telling what it observed more exactly, or less, than the owner of a slot now allows.
        OldPrecisionTold = "old-precision-told",
        /// The relay evicts its oldest parcel, and tells nobody, where it should refuse a new one for want of room.
        EvictedWhenFull = "evicted-when-full",
        /// The relay takes new work into the room that it keeps free for old promises.
        ReserveNotKept = "reserve-not-kept",
        /// The relay counts no parcel and no byte against the quota of a mailbox.
        QuotaNotCounted = "quota-not-counted",
        /// The relay leaves no tombstone: what was released or has expired can be put, and comes, once more.
        TombstoneForgotten = "tombstone-forgotten",
        /// The relay forgets no parcel that was announced and of which no byte has come.
        AnnouncedKept = "announced-kept",
        /// The relay tells a writer that a parcel was released, where it should say *stored*.
        ReleaseToldToWriter = "release-told-to-writer",
        /// The relay's store ages by the wall clock, jumps and all.
        ExpiryByWallClock = "expiry-by-wall-clock",
        /// The relay takes further replies to an invitation that has one.
        UsedLinkAccepted = "used-link-accepted",
        /// The relay puts an older word in place of a newer one.
        OlderWordReplacesNewer = "older-word-replaces-newer",
        /// The relay moves the seen bucket for a word whose owner has come with that version already.
        SeenMovesOnRepeat = "seen-moves-on-repeat",
        /// The relay moves the seen bucket when somebody asks for it.
        SeenMovesOnRead = "seen-moves-on-read",
        /// The relay moves the seen bucket for a word that somebody passes on, as if its owner had brought it.
        SeenMovesWithoutOwner = "seen-moves-without-owner",
        /// The relay moves the seen bucket for a word that comes before the handshake is over.
        SeenMovesEarly = "seen-moves-early",
        /// The relay does at once, before the handshake is over, what must not be done for who brings it late.
        HandshakeNotAwaited = "handshake-not-awaited",
        /// The relay gives the room of a released parcel back at once: its writer can tell when it was fetched.
        QuotaReturnsAtOnce = "quota-returns-at-once",
        /// The relay puts up with a peer that asks faster than the store answers.
        LoadNotBounded = "load-not-bounded",
        /// The relay writes the mailbox that somebody begins to watch into its log.
        LogTellsMailbox = "log-tells-mailbox",
        /// The relay writes the hour at which somebody begins to watch into its log.
        LogTellsHour = "log-tells-hour",
        /// The relay keeps the watches of sessions that have ended.
        WatchesOutliveSessions = "watches-outlive-sessions",
        /// Both ends keep in memory what they needed for a session that has ended.
        EndedSessionsKept = "ended-sessions-kept",
        /// The relay lets go of a parcel for anybody who names it, whether they have proven its mailbox or not.
        ReleasedByAnybody = "released-by-anybody",
        /// The relay takes a proof for good whoever signed it.
        ProofNotChecked = "proof-not-checked",
        /// A parcel's header counts whoever signed it.
        HeaderNotChecked = "header-not-checked",
        /// A parcel's bytes count whoever vouches for them.
        MarkNotChecked = "mark-not-checked",
        /// The relay lets a parcel expire a lifetime after its first byte, though it still grows.
        GrowthNotRenewed = "growth-not-renewed",
        /// The relay begins every parcel at its first byte, whatever part of it the device says it has.
        DownloadRestarts = "download-restarts",
        /// A device begins every upload at the first byte, whatever part of it the relay says it has.
        UploadRestarts = "upload-restarts",
        /// A device offers what is left of an interrupted upload as other bytes under the same id, as if sealed again.
        ChunkSealedAgain = "chunk-sealed-again",
        /// A device does not pad its notes: how long each is on the way tells how long it is.
        NotesNotPadded = "notes-not-padded",
        /// A device seals several notes with the same pair of a session.
        NoteKeyReused = "note-key-reused",
        /// A device knows nothing of notes it has had: what comes twice is shown twice.
        DuplicateShown = "duplicate-shown",
        /// A device releases a parcel of which only a part is durable here.
        ReleasedBeforeWhole = "released-before-whole",
        /// A device does not ask again for the release of what no relay has said to have let go.
        ReleaseNotAskedAgain = "release-not-asked-again",
        /// A device erases a note's key when the note begins to arrive, not when it is durably opened.
        KeyErasedEarly = "key-erased-early",
        /// A device keeps the key of a note that it has opened: whoever takes the phone opens it again.
        KeyNotErased = "key-not-erased",
        /// A device that is done with a parcel of its own keeps the sealed bytes.
        BodyLeftBehind = "body-left-behind",
        /// A device lets go of a note whose session has not come, instead of keeping it locked.
        LockedNoteDropped = "locked-note-dropped",
        /// A device forgets the keys of notes that have not come when their session is a day old.
        SessionRetiredEarly = "session-retired-early",
        /// A device gives its control frames, session hand-outs among them, an hour to live.
        HandOutShortLived = "hand-out-short-lived",
        /// A device lets notes age in its outbox before any relay has stored them.
        NotesAgeInOutbox = "notes-age-in-outbox",
        /// A device lets its own clock alone end a lifetime, though the relay's says otherwise.
        OwnClockEndsLifetime = "own-clock-ends-lifetime",
        /// A device lets an expired parcel go and does not tell its sender.
        ExpiredSilently = "expired-silently",
        /// A device forgets since when a relay may have had a parcel whose *stored* was lost on the way.
        UnansweredForgotten = "unanswered-forgotten",
        /// A device forgets a parcel as soon as a relay says *stored*.
        StoredMeansForgotten = "stored-means-forgotten",
        /// A device does not offer again what a relay lost with its store.
        EpochIgnored = "epoch-ignored",
        /// A device says of whatever a relay refuses that the mailbox is full.
        ReasonMistold = "reason-mistold",
        /// A device forgets a parcel that a relay refuses.
        RefusedMeansForgotten = "refused-means-forgotten",
        /// A device asks a relay at each meeting about every parcel for which it had no room, and not by one of them whether it has room.
        AllAskedAgain = "all-asked-again",
        /// A device puts on offer at once all that waits, however much memory that takes.
        OffersNotBounded = "offers-not-bounded",
        /// A device keeps in memory what it has sent of parcels that are stored.
        SentNotFreed = "sent-not-freed",
        /// A device offers nothing behind a parcel that was refused.
        HeadOfLineBlocks = "head-of-line-blocks",
        /// A device dials a relay that it cannot reach as often after hours as at first.
        RedialNeverSlows = "redial-never-slows",
        /// A device says as much to look for a relay as if it was there.
        HuntsLoudly = "hunts-loudly",
        /// A device tries no TLS over TCP where nothing comes back over QUIC.
        TlsNotTried = "tls-not-tried",
        /// A device gives a relay up that it could not reach a few times.
        RedialGivenUp = "redial-given-up",
        /// A device sends control frames beyond what the other end can note as missing.
        FramesNotBounded = "frames-not-bounded",
        /// A device that has said all it may keeps its acknowledgements to itself too, until it hears one.
        AnswersHeldBack = "answers-held-back",
        /// A device acknowledges a control frame in a commit before the one that makes its contents durable.
        AcknowledgedBeforeDurable = "acknowledged-before-durable",
        /// A device keeps in memory what a failed commit did not make durable.
        FailedCommitKept = "failed-commit-kept",
        /// A device shows the notes of a sender in the order in which they came.
        ShownByArrival = "shown-by-arrival",
        /// A device takes over the mark of every receipt, also of one that says less than is known.
        MarksMoveBackward = "marks-move-backward",
        /// A device tells *heard* of a note when it is delivered.
        HeardOnDelivery = "heard-on-delivery",
        /// A device notes that somebody listened, and forgets over the next restart to tell the sender.
        HeardNotKept = "heard-not-kept",
        /// A device gives at once the receipts that are to be given later.
        LaterAtOnce = "later-given-at-once",
        /// A device gives receipts to contacts who are not confirmed.
        ReceiptsToUnconfirmed = "receipts-to-unconfirmed",
        /// A device dates a note by when it came, not by when it was recorded.
        DatedByArrival = "dated-by-arrival",
        /// A device says of a note that came in parts that it arrived when the last of them did.
        ArrivesAnew = "arrives-anew",
        /// A device keeps the sealed body of a note for ever after its receipt.
        DeliveredNotLetGo = "delivered-not-let-go",
        /// A device holds a contact for confirmed whatever digits are typed.
        DigitsNotCompared = "digits-not-compared",
        /// A device leaves its word for contacts who are not confirmed, too.
        WordToUnconfirmed = "word-to-unconfirmed",
        /// A device leaves its word for contacts who may not see one, too.
        WordToShutOut = "word-to-shut-out",
        /// A device does not have the relay drop the slot of somebody who may see nothing any more.
        SlotLeftBehind = "slot-left-behind",
        /// A device does not leave its word again with a relay that lost its store.
        WordNotOfferedAgain = "word-not-offered-again",
        /// A device goes on showing the word of somebody who has taken the right to it back.
        RevocationIgnored = "revocation-ignored",
        /// A device believes a relay that shows an older word than it has seen.
        OlderWordBelieved = "older-word-believed",
        /// A device that gets a newer word of somebody tells the time of the last one as when it heard from them last.
        NewsStandsStill = "news-stands-still",
        /// A device does not say that a relay shows an older word than it has seen, or none.
        OlderRelayNotTold = "older-relay-not-told",
        /// A device calls a last-seen answer fresh that no relay has given now.
        FreshnessLies = "freshness-lies",
        /// A device takes its relay's ticket to stand for mailboxes whose keys it has never proven.
        TicketBelievedForAll = "ticket-believed-for-all",
        /// A device does not offer again what it offered before a handshake in which nothing of that was taken.
        RefusedNotSaidAgain = "refused-not-said-again",
        /// A device offers its parcels in an order drawn from outside the seed.
        OrderByChance = "order-by-chance",
    }
}

impl Switch {
    /// Returns the invariants of the simulated world, by number from 1 to 10, of which at least one should break;
    /// 0: somebody gets what is not theirs.
    #[expect(clippy::too_many_lines, reason = "a table: every switch stands in it once")]
    pub const fn breaks(self) -> &'static [u8] {
        match self {
            // A relay that forgets what grows is brought all of it once more.
            Self::GrowthNotRenewed => &[1, 4],
            Self::ReleasedByAnybody => &[0, 1],
            Self::UnansweredForgotten => &[1, 9],
            // What was called released before it was, comes once more.
            Self::StoredBeforeSync => &[1, 4],
            Self::EvictedWhenFull
            | Self::ExpiryByWallClock
            | Self::NotesAgeInOutbox
            | Self::OwnClockEndsLifetime
            | Self::ExpiredSilently
            | Self::StoredMeansForgotten
            | Self::EpochIgnored => &[1],
            Self::ReleasedBeforeWhole
            | Self::NoteKeyReused
            | Self::KeyErasedEarly
            | Self::LockedNoteDropped
            | Self::SessionRetiredEarly
            | Self::HandOutShortLived
            | Self::FailedCommitKept => &[1, 2],
            Self::StoredBeforeLastMark | Self::RefusedMeansForgotten | Self::AcknowledgedBeforeDurable => &[1, 2, 9],
            Self::DuplicateShown | Self::ShownByArrival | Self::DatedByArrival | Self::ArrivesAnew => &[2],
            Self::HeardOnDelivery => &[3],
            // Whoever looks between two receipts sees the mark go back; whoever looks later sees that it never came to *heard*.
            Self::MarksMoveBackward => &[3, 9],
            // What comes once more travels once more; the device shows it once.
            Self::AllAskedAgain
            | Self::TombstoneForgotten
            | Self::ReleaseNotAskedAgain
            | Self::DownloadRestarts
            | Self::UploadRestarts => &[4],
            Self::HeadOfLineBlocks => &[5, 9],
            // A mailbox for one reply that takes two: the second thinks that it was the first.
            Self::ClockNotKept => &[1, 6],
            Self::UsedLinkAccepted => &[6, 9],
            Self::RedialNeverSlows
            | Self::HuntsLoudly
            | Self::WatchesOutliveSessions
            | Self::EndedSessionsKept
            | Self::AnnouncedKept
            | Self::OffersNotBounded
            | Self::SentNotFreed
            | Self::QuotaNotCounted
            | Self::LoadNotBounded
            | Self::ReserveNotKept
            | Self::InvitationNeverEnds
            | Self::DeliveredNotLetGo => &[6],
            Self::FramesNotBounded => &[2, 6, 9],
            // What somebody asks, or what comes, is never told.
            Self::TicketBelievedForAll => &[8, 9],
            Self::SeenMovesEarly => &[0, 8],
            Self::LogTellsMailbox | Self::LogTellsHour => &[7],
            Self::OlderWordReplacesNewer
            | Self::SeenMovesOnRepeat
            | Self::SeenMovesOnRead
            | Self::OldPrecisionTold
            | Self::OlderWordBelieved
            | Self::NewsStandsStill
            | Self::WordNotOfferedAgain
            | Self::SlotLeftBehind
            | Self::OlderRelayNotTold
            | Self::SeenMovesWithoutOwner
            | Self::WordToUnconfirmed
            | Self::WordToShutOut
            | Self::RevocationIgnored
            | Self::FreshnessLies => &[8],
            Self::RefusedNotSaidAgain
            | Self::ReleaseToldToWriter
            | Self::ChunkSealedAgain
            | Self::RedialGivenUp
            | Self::AnswersHeldBack
            | Self::TlsNotTried
            | Self::HeardNotKept => &[9],
            Self::DigitsNotCompared
            | Self::HandshakeNotAwaited
            | Self::KeyNotErased
            | Self::BodyLeftBehind
            | Self::ReasonMistold
            | Self::ProofNotChecked
            | Self::HeaderNotChecked
            | Self::MarkNotChecked
            | Self::FreedNotKept
            | Self::QuotaReturnsAtOnce
            | Self::NotesNotPadded
            | Self::LaterAtOnce
            | Self::ReceiptsToUnconfirmed => &[0],
            Self::OrderByChance => &[10],
        }
    }
}
