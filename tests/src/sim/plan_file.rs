//! Plans as files: written for `--replay`, read back, and told what is wrong with them.

use zajil_net::links;

use super::plan::{DAY, Deed, Millis, PersonDeed, PersonId, Plan};

/// The longest run, milliseconds.
const LONGEST: Millis = 3_650 * DAY;

fn link_names() -> String {
    links::Profile::ALL.map(links::Profile::name).join(", ")
}

/// Why a plan cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The text is not a plan.
    #[error("this is not a plan of a simulated world: {0}; plans are written by `cargo xtask sim` when a seed fails")]
    Text(String),
    /// An event names somebody who is not there.
    #[error(
        "event {event} names person {who}, but there are only {people} (counted from 0); add them or take the event out"
    )]
    Nobody {
        /// The event's place in the list, from 0.
        event: usize,
        /// Who is named.
        who: PersonId,
        /// How many people there are.
        people: usize,
    },
    /// Somebody does to themselves what takes two.
    #[error("in event {event} person {who} pairs, talks or asks with nobody but themselves; name somebody else")]
    Alone {
        /// The event's place in the list, from 0.
        event: usize,
        /// Who.
        who: PersonId,
    },
    /// Events are not in order of time.
    #[error("event {event} is at {at} ms, before the one in front of it; put the events in order of time")]
    Order {
        /// The event's place in the list, from 0.
        event: usize,
        /// Its time.
        at: Millis,
    },
    /// Calm comes before the last event.
    #[error("calm is at {calm_at} ms, but the last event is at {last} ms; let calm come after it")]
    Calm {
        /// When calm comes.
        calm_at: Millis,
        /// When the last event is.
        last: Millis,
    },
    /// Nobody lives so long.
    #[error("calm is at {calm_at} ms; let it come within {LONGEST} ms, which are ten years")]
    Long {
        /// When calm comes.
        calm_at: Millis,
    },
    /// A link that there is no model of.
    #[error("person {who} has the link {access:?}; there are {}", link_names())]
    Link {
        /// Who.
        who: PersonId,
        /// What is written there.
        access: String,
    },
    /// Two notes have one number.
    #[error("event {event} sends note {serial}, which another event sends too; give every note its own serial")]
    Twice {
        /// The event's place in the list, from 0.
        event: usize,
        /// The note.
        serial: u32,
    },
}

impl Plan {
    /// Writes the plan as JSON, one line for each event, so that a person can read it and take lines out.
    pub fn to_json(&self) -> String {
        let line = |value: serde_json::Result<String>| value.expect("plans are plain data");
        let events: Vec<String> = self.events.iter().map(|event| line(serde_json::to_string(event))).collect();
        let people: Vec<String> = self.people.iter().map(|person| line(serde_json::to_string(person))).collect();
        format!(
            "{{\n\"seed\":{},\n\"profile\":{},\n\"people\":[\n{}\n],\n\
             \"relay\":{},\n\"events\":[\n{}\n],\n\"calm_at\":{}\n}}\n",
            self.seed,
            line(serde_json::to_string(&self.profile)),
            people.join(",\n"),
            line(serde_json::to_string(&self.relay)),
            events.join(",\n"),
            self.calm_at,
        )
    }

    /// Reads a plan that [`to_json`](Self::to_json) wrote, or a person did.
    ///
    /// # Errors
    /// What is wrong with it, and what to do about it.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        let plan: Self = serde_json::from_str(text).map_err(|error| PlanError::Text(error.to_string()))?;
        plan.check()?;
        Ok(plan)
    }

    /// Says whether the plan can be played: everybody named exists, and every link, times are in order, notes have their own numbers.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), PlanError> {
        let unknown = self.people.iter().position(|person| links::Profile::named(&person.access).is_none());
        if let Some((who, person)) = unknown.and_then(|who| Some((who, self.people.get(who)?))) {
            let who = PersonId::try_from(who).unwrap_or(PersonId::MAX);
            return Err(PlanError::Link { who, access: person.access.clone() });
        }
        if self.calm_at > LONGEST {
            return Err(PlanError::Long { calm_at: self.calm_at });
        }
        let mut serials = std::collections::BTreeSet::new();
        let mut last = 0;
        for (place, event) in self.events.iter().enumerate() {
            let named = event.deed.people();
            if let Some(who) = named.iter().find(|who| usize::from(**who) >= self.people.len()) {
                return Err(PlanError::Nobody { event: place, who: *who, people: self.people.len() });
            }
            if let [one, other] = named[..]
                && one == other
            {
                return Err(PlanError::Alone { event: place, who: one });
            }
            if event.at < last {
                return Err(PlanError::Order { event: place, at: event.at });
            }
            last = event.at;
            if let Deed::Person(_, PersonDeed::Send { serial, .. }) = event.deed
                && !serials.insert(serial)
            {
                return Err(PlanError::Twice { event: place, serial });
            }
        }
        if self.calm_at < last {
            return Err(PlanError::Calm { calm_at: self.calm_at, last });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::make::{Profile, plan};
    use crate::sim::plan::Event;

    #[test]
    fn a_plan_is_the_same_after_it_was_written_and_read() {
        for profile in Profile::ALL {
            let plan = plan(profile, 3, None);
            assert_eq!(Plan::from_json(&plan.to_json()), Ok(plan));
        }
    }

    #[test]
    fn every_event_of_a_written_plan_has_a_line_of_its_own() {
        let plan = plan(Profile::Family, 3, None);
        let text = plan.to_json();
        assert_eq!(text.lines().count(), plan.events.len() + plan.people.len() + 10);
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_its_place() {
        let sound = plan(Profile::Family, 3, None);
        let broken = |change: &dyn Fn(&mut Plan)| {
            let mut plan = sound.clone();
            change(&mut plan);
            Plan::from_json(&plan.to_json()).unwrap_err()
        };
        let people = sound.people.len();
        assert_eq!(
            broken(&|plan| plan.events[4].deed = Deed::Person(99, PersonDeed::Look)),
            PlanError::Nobody { event: 4, who: 99, people }
        );
        let to_self = |serial| PersonDeed::Send { to: 1, serial, seconds: 1, lifetime_days: None };
        assert_eq!(
            broken(&|plan| plan.events[4].deed = Deed::Person(1, to_self(1))),
            PlanError::Alone { event: 4, who: 1 }
        );
        let last = sound.events.last().unwrap().at;
        assert_eq!(broken(&|plan| plan.calm_at = last - 1), PlanError::Calm { calm_at: last - 1, last });
        let late = Event { at: 0, deed: Deed::Person(1, PersonDeed::Look) };
        let place = sound.events.len();
        assert_eq!(broken(&|plan| plan.events.push(late.clone())), PlanError::Order { event: place, at: 0 });
        let note =
            sound.events.iter().find(|event| matches!(event.deed, Deed::Person(_, PersonDeed::Send { .. }))).unwrap();
        let twice = broken(&|plan| plan.events.push(Event { at: last, ..note.clone() }));
        assert_eq!(twice, PlanError::Twice { event: place, serial: 1 });
        assert!(matches!(Plan::from_json("{}"), Err(PlanError::Text(_))));
        assert_eq!(broken(&|plan| plan.calm_at = u64::MAX), PlanError::Long { calm_at: u64::MAX });
        let fibre = PlanError::Link { who: 1, access: "fibre".into() };
        assert!(fibre.to_string().contains("edge, gprs"), "{fibre}");
        assert_eq!(broken(&|plan| plan.people[1].access = "fibre".into()), fibre);
    }

    #[test]
    fn a_plan_of_another_version_is_no_plan() {
        let text = plan(Profile::Family, 3, None).to_json();
        for (known, other) in [("disk_bytes", "disk_limit"), ("\"seed\"", "\"format\":7,\"seed\"")] {
            assert!(matches!(Plan::from_json(&text.replace(known, other)), Err(PlanError::Text(_))), "{other}");
        }
    }
}
