//! Which rare situations the standard seeds must come into, and which they need not.

use std::collections::BTreeSet;

use zajil_proto::simulation::Situation;

/// Situations that no standard seed comes into, and why. One that is reached all the same does not belong here.
///
/// Most of these are for plans that are not drawn yet: whoever adds such plans strikes them out.
pub const EXCEPTIONS: &[(Situation, &str)] = &[
    (Situation::PutAgainInSession, "a device of ours never does it; the random lists of proto/tests/pair do"),
    (Situation::UploadedTwiceAtOnce, "a phone has one session at a time with its one home; proto/tests/pair has two"),
    (Situation::SweepCapped, "needs a relay that stands still for six hours without being off"),
    (Situation::SessionRetired, "needs 52 days, and a reader who comes back after them"),
    (Situation::OuterKeyOld, "needs a month; the engine's own tests and tests/tests/one_runtime have several"),
    (Situation::OuterKeyRenewed, "needs a month, or a phone that was in other hands; as above"),
    (Situation::FrameUnderOldKey, "needs a renewal; the engine's own tests have one"),
    (Situation::OutOfHandsHeard, "nobody here loses a phone; tests/tests/one_runtime has one who does"),
    (
        Situation::RenewalToldAgain,
        "needs a frame that is lost for good, and a month after it; the engine's own tests have one",
    ),
    (Situation::FrameForeign, "nobody without a pair's key can put into its mailbox"),
    (Situation::ReplyNotTaken, "needs a reply to an invitation that has just been ended"),
    (Situation::InvitationEnded, "needs a link that nobody opens for seven days"),
    (Situation::OutboxFull, "needs a gigabyte; tests/tests/one_runtime hits that limit"),
    (Situation::WrongKeyShown, "there is one relay; tests/tests/one_runtime shows another's key"),
    (Situation::ListenerFull, "needs 4 096 connections at once"),
    (Situation::AddressAskedToRetry, "needs 3 072 connections at once"),
];

/// Says what is wrong with the situations that the standard seeds came into.
pub fn judge(reached: &BTreeSet<Situation>) -> Vec<String> {
    judge_by(EXCEPTIONS, reached)
}

fn judge_by(exceptions: &[(Situation, &str)], reached: &BTreeSet<Situation>) -> Vec<String> {
    let reason = |situation| exceptions.iter().find(|(other, _)| *other == situation).map(|(_, reason)| *reason);
    let fault = |situation: &Situation| match (reached.contains(situation), reason(*situation)) {
        (true, None) | (false, Some(_)) => None,
        (false, None) => Some(format!("no standard seed came into {}: {}", situation.name(), situation.what().trim())),
        (true, Some(reason)) => {
            Some(format!("{} was reached, though it is an exception ({reason}): strike it out", situation.name()))
        }
    };
    Situation::ALL.iter().filter_map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missed_without_a_reason_and_what_is_reached_despite_one_are_named() {
        let (one, other) = (Situation::UploadResumed, Situation::RelayFull);
        let all = || Situation::ALL.iter().copied();
        assert_eq!(judge_by(&[], &all().collect()), Vec::<String>::new());
        let but = |missed| all().filter(|situation| *situation != missed).collect::<BTreeSet<_>>();
        assert_eq!(judge_by(&[(one, "why")], &but(one)), Vec::<String>::new());
        let faults = judge_by(&[(one, "why")], &but(other));
        assert!(faults.len() == 2, "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("relay-full")), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("upload-resumed") && fault.contains("why")), "{faults:?}");
    }
}
