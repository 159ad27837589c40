//! How requests and answers print: they may hold a link, digits, a name or a voice, and say none of them. The simulated world, which has
//! no people, tells its timelines by what they hold.

use std::fmt;

use super::api::{Reply, Request};

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request(..)")
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Argon2Cost, Passphrase, Protection, Unlock};

    #[test]
    fn a_link_a_name_and_a_passphrase_do_not_print() {
        let link = || "zajil:AQHI".to_owned();
        let request = Request::Accept { name: "Maryam".to_owned(), link: link(), in_person: false };
        let reply = Reply::Invited { link: link(), expires: zajil_proto::time::Minute(1) };
        assert_eq!(format!("{request:?} {reply:?}"), "Request(..) Reply(..)");
        let passphrase = Passphrase::new("correct horse").unwrap();
        let protection = Protection::Passphrase(passphrase.clone(), Argon2Cost::RECOMMENDED);
        let shown = format!("{passphrase:?} {protection:?} {:?}", Unlock::Passphrase(passphrase.clone()));
        assert!(!shown.contains("horse") && shown.matches("Passphrase(..)").count() == 3, "{shown}");
    }
}
