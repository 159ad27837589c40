//! All that a relay holds about people, in memory and at rest, by name: for the test that compares it with `docs/THREAT_MODEL.md`.
//!
//! Each list takes its structure apart field by field. A new field does not compile until it is named here, and what is named here and
//! does not stand in the document, with what it tells and for how long, fails that test.

pub(crate) use zajil_proto::name_fields as fields;

/// Returns the name of everything that a relay keeps of whoever uses it, as the first column of the document's tables has it: `row:` for
/// what lies at rest under the store key, `memory:` for what a running relay holds.
pub fn inventory() -> Vec<&'static str> {
    let mut list = Vec::new();
    crate::store::name_all(&mut list);
    crate::gateway::name_all(&mut list);
    crate::tickets::name_all(&mut list);
    crate::watchers::name_all(&mut list);
    crate::metrics::name_all(&mut list);
    zajil_net::name_all(&mut list);
    zajil_proto::session::relay::name_all(&mut list);
    list
}
