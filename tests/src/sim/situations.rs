//! Which rare situations the standard seeds must come into, and which they need not.

use std::collections::BTreeSet;

use zajil_proto::simulation::Situation;

/// Situations that no standard seed comes into, and why. One that is reached all the same does not belong here.
pub const EXCEPTIONS: &[(Situation, &str)] = &[];

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
