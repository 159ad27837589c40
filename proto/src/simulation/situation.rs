//! The rare situations that a run over the standard seeds must reach.

use super::named;

named! {
    /// A situation in which a mistake would hide for years.
    Situation {
        /// A relay finds a parcel half held and goes on behind it.
        UploadResumed = "upload-resumed",
        /// A relay holds every byte of a parcel but not its last mark, and its sender comes back: cut during the close.
        CloseResumed = "close-resumed",
        /// A device believed that a relay held more of a parcel than it does.
        UploadSentBack = "upload-sent-back",
        /// A device skips bytes of an upload that the relay says it has.
        UploadSkippedAhead = "upload-skipped-ahead",
        /// A session ends in the middle of an upload, and what came of it goes into the store.
        UploadCutShort = "upload-cut-short",
        /// A device puts a parcel again in the session in which it is on its way.
        PutAgainInSession = "put-again-in-session",
        /// Two sessions write the same parcel at once.
        UploadedTwiceAtOnce = "uploaded-twice-at-once",
        /// A relay is brought bytes of a parcel that is closed already.
        ClosedParcelExtended = "closed-parcel-extended",
        /// A relay is offered a parcel that it holds whole.
        HeldParcelPutAgain = "held-parcel-put-again",
        /// A relay is offered a parcel that was released, and answers *stored* as for one that waits.
        ReleasedParcelPutAgain = "released-parcel-put-again",
        /// A relay is asked to release what it has let go already: the answer to the first release was lost.
        ReleaseRepeated = "release-repeated",
        /// A mailbox has no room for a parcel that is offered.
        QuotaRefusedAtOpen = "quota-refused-at-open",
        /// A mailbox has no room for more of a parcel that was begun.
        QuotaRefusedMidParcel = "quota-refused-mid-parcel",
        /// Quota of released parcels comes back at a step.
        QuotaReturned = "quota-returned",
        /// A relay's disk is down to its reserve, and new work is refused.
        RelayFull = "relay-full-refused",
        /// A relay's store fails a request, and nothing is acknowledged.
        RelayStoreFailed = "relay-store-failed",
        /// A parcel expires at a relay before anybody fetched it.
        ParcelExpiredAtRelay = "parcel-expired-at-relay",
        /// A parcel grows in a later step than it began or grew in, and lives on for as long.
        LifetimeRenewed = "lifetime-renewed",
        /// An invitation runs out at the relay.
        InvitationOverAtRelay = "invitation-over-at-relay",
        /// More time passes between two sweeps of a store than one may count.
        SweepCapped = "sweep-capped",
        /// A relay is told to stop while sessions are open.
        RelayDrained = "relay-drained",
        /// A relay ends a session over a mistake of its peer.
        SessionRefused = "session-refused",
        /// A relay ends a session in which nothing was said for long.
        SessionIdle = "session-idle",
        /// A relay is asked to watch a mailbox that is not proven.
        UnprovenWatched = "unproven-watched",
        /// A relay goes on with a parcel where the device has it.
        DownloadResumed = "download-resumed",
        /// A relay leaves out a parcel that the device has whole.
        HeldDownloadLeftOut = "held-download-left-out",
        /// A parcel goes while it is being read for its reader.
        GoneWhileReading = "gone-while-reading",
        /// A word comes again in the version that the relay has.
        WordRepeated = "word-repeated",
        /// A relay is brought an older word than it has.
        WordOutdated = "word-outdated",
        /// A device finds its relay with another store than before.
        EpochChanged = "epoch-changed",
        /// A device offers again what a relay once stored and has lost.
        OfferedAgain = "offered-again",
        /// A device takes up what had come whole when it last stopped.
        TakenUpAfterStop = "taken-up-after-stop",
        /// A note that a device has had comes again, and is let go.
        DuplicateNote = "duplicate-note",
        /// A note comes before its session, and is kept locked.
        NoteLocked = "note-locked",
        /// A session comes after its note, and unlocks it.
        NoteUnlocked = "note-unlocked",
        /// A note is listed while only a part of it is here.
        NoteShownInPart = "note-shown-in-part",
        /// A note comes out of its sender's order.
        NoteOutOfOrder = "note-out-of-order",
        /// A session has no key left, or is seven days old, and a new one is handed out.
        SessionRenewed = "session-renewed",
        /// A session is over, its longest lifetime too, and its keys are erased.
        SessionRetired = "session-retired",
        /// A control frame comes before one that was sent earlier.
        FrameOutOfOrder = "frame-out-of-order",
        /// A control frame comes a second time.
        FrameRepeated = "frame-repeated",
        /// A control frame comes that no key of the pair opens.
        FrameForeign = "frame-foreign",
        /// A renewed outer key is taken up.
        OuterKeyRenewed = "outer-key-renewed",
        /// An outer key is a month old, and its renewal begins.
        OuterKeyOld = "outer-key-old",
        /// A step of a renewal had no effect for a month and is told again.
        RenewalToldAgain = "renewal-told-again",
        /// A control frame that was sealed under the outer key before the present one comes, and opens.
        FrameUnderOldKey = "frame-under-old-key",
        /// A contact says that their phone was out of their hands.
        OutOfHandsHeard = "out-of-hands-heard",
        /// Contents wait because too many control frames are unacknowledged.
        FramesHeldBack = "frames-held-back",
        /// A receipt says less than is known already.
        ReceiptLate = "receipt-late",
        /// *Heard* comes before *delivered* was told.
        HeardBeforeDelivered = "heard-before-delivered",
        /// *Delivered* comes before the answer that the relay has stored the note.
        ReceiptBeforeStored = "receipt-before-stored",
        /// A note expires that nobody fetched, and its sender is told.
        NoteExpired = "note-expired",
        /// A receipt comes for a note whose lifetime was over.
        ReceiptAfterExpiry = "receipt-after-expiry",
        /// A reply to an invitation is refused because another came first.
        UsedLinkRefused = "used-link-refused",
        /// A link leads to nothing any more: its inviter has taken a reply, or its time is over.
        LinkLedNowhere = "link-led-nowhere",
        /// A reply does not fit its invitation, or comes when none is open.
        ReplyNotTaken = "reply-not-taken",
        /// Nobody answers an invitation in its seven days.
        InvitationEnded = "invitation-ended",
        /// A relay shows an older word than the device has seen, or none.
        OlderWordShown = "older-word-shown",
        /// A last-seen answer comes from what the device knew.
        SeenFromMemory = "seen-from-memory",
        /// A device's disk is full in the middle of a commit.
        DeviceFull = "device-full",
        /// A device whose disk is full meets its relay and lets nothing come.
        FullDeviceFetchesNothing = "full-device-fetches-nothing",
        /// A device's store fails a commit in another way.
        DeviceStoreFailed = "device-store-failed",
        /// A device's outbox is full.
        OutboxFull = "outbox-full-refused",
        /// The clocks of a device and its relay are more than an hour apart.
        ClocksDisagree = "clocks-disagree",
        /// A relay cannot be reached often enough that a device dials more slowly.
        RedialSlow = "redial-slow",
        /// A machine tells that its network has changed, and its device looks for relays at once.
        NetworkChanged = "network-changed",
        /// TLS over TCP waited for nothing where UDP had not passed before.
        WinnerRemembered = "winner-remembered",
        /// A device reaches a relay over TLS because QUIC has not got through in time.
        ReachedOverTls = "reached-over-tls",
        /// Something answers that does not hold a relay's key.
        WrongKeyShown = "wrong-key-shown",
        /// Nothing answers a handshake for as long as one may take.
        HandshakeUnanswered = "handshake-unanswered",
        /// Nothing is heard on a connection for the whole idle time-out.
        ConnectionWentSilent = "connection-went-silent",
        /// A relay that has started again tells a device that it does not know their connection.
        ConnectionForgotten = "connection-forgotten",
        /// A relay has no place for one more connection.
        ListenerFull = "listener-full",
        /// A relay that is crowded asks a device to show that its address is its own.
        AddressAskedToRetry = "address-asked-to-retry",
        /// A relay takes what a device said before their handshake was over.
        EarlyDataAccepted = "early-data-accepted",
        /// A relay takes nothing of what a device said before their handshake was over, and all of it is said again.
        EarlyDataRefused = "early-data-refused",
        /// Nobody answers what a device said at once, and the relay is dialled from the beginning.
        EarlyDataUnanswered = "early-data-unanswered",
        /// Something that may not be done twice waits at a relay for the end of the handshake.
        WaitedForHandshake = "waited-for-handshake",
        /// The owner of a word that came before the handshake was over shows that it is there.
        EarlyWordProven = "early-word-proven",
        /// A relay gives a device what a ticket stands for.
        TicketRedeemed = "ticket-redeemed",
        /// A device shows a ticket that its relay does not know.
        TicketUnknown = "ticket-unknown",
        /// A device shows a ticket while an earlier connection that showed it is still open.
        TicketShownTwice = "ticket-shown-twice",
        /// A relay refuses to take a device in.
        NotAdmitted = "device-not-admitted",
        /// A device hangs up before all links have ended in order.
        HungUpUnfinished = "hung-up-unfinished",
    }
}
