//! A handshake that goes on while a session has begun already.

use core::time::Duration;
use std::future::pending;
use std::sync::Arc;

use quinn::ZeroRttAccepted;
use tokio::time::timeout;
use zajil_proto::reached;
use zajil_proto::wire::Code;
use zeroize::Zeroizing;

use crate::connection::{Connection, exporter_of, quic_code};
use crate::dial::DialError;
use crate::limits::HANDSHAKE_SILENCE;
use crate::meter::{Costing, Meter};
use crate::remembered::Basis;
use crate::seams::Pending;

/// How a handshake ended.
pub(crate) enum Over {
    /// What was said before has been taken.
    Confirmed(Zeroizing<[u8; 32]>),
    /// The connection stands, and nothing that was said before it was taken.
    Refused(Zeroizing<[u8; 32]>),
    /// Nobody answered; here is another connection, on which nothing was said.
    Anew(Box<Connection>),
    /// Nobody could be reached.
    Unmet(DialError),
    /// The peer did not end it in time.
    Unfinished,
}

/// A handshake under way.
pub(crate) type Handshake = Pending<'static, Over>;

/// That of a device. `costing` is told when the relay answers; `again` dials from the beginning where there is none, or where what it
/// answers with is less than was wanted: a session that it does not know any more takes its part of the exchange of keys with it.
pub(crate) fn of_device(
    connection: quinn::Connection,
    mut accepted: ZeroRttAccepted,
    basis: Arc<Basis>,
    (meter, mut costing): (Arc<Meter>, Costing),
    again: Pending<'static, Result<Connection, DialError>>,
) -> Handshake {
    Box::pin(async move {
        let mut heard = 0;
        let answer = loop {
            match timeout(HANDSHAKE_SILENCE, &mut accepted).await {
                Ok(accepted) => break connection.close_reason().is_none().then_some(accepted),
                Err(_) if meter.heard() > heard => heard = meter.heard(),
                Err(_) => break None,
            }
        };
        if let Some(accepted) = answer
            && let Ok(exporter) = exporter_of(&connection)
        {
            costing.met();
            if accepted {
                reached!(EarlyDataAccepted);
                return Over::Confirmed(exporter);
            }
            reached!(EarlyDataRefused);
            if !basis.refused() {
                return Over::Refused(exporter);
            }
            connection.close(quic_code(Code::OK), &[]);
        } else {
            reached!(EarlyDataUnanswered);
            meter.mute();
        }
        drop((connection, costing));
        match again.await {
            Ok(connection) => Over::Anew(Box::new(connection)),
            Err(error) => Over::Unmet(error),
        }
    })
}

/// That of a relay, which may take so long.
pub(crate) fn of_relay(connection: quinn::Connection, accepted: ZeroRttAccepted, longest: Duration) -> Handshake {
    Box::pin(async move {
        match timeout(longest, accepted).await {
            Ok(_) => match exporter_of(&connection) {
                Ok(exporter) => Over::Confirmed(exporter),
                // It has ended: reading says so, after what had come.
                Err(_) => pending().await,
            },
            Err(_) => Over::Unfinished,
        }
    })
}
