//! One reader at a time for a key; the others wait for what it finds.

use std::collections::{HashMap, hash_map};
use std::sync::{Arc, Mutex, PoisonError};

use keizoku_base::Micros;
use tokio::sync::watch;

use super::Found;
use super::key::Key;

/// What a reader found, if the database knows the key, and when it began to look.
type Landing = (Option<Found>, Micros);

/// Empty while the flight is in the air.
type Landed = Option<Landing>;

/// The keys that are being read.
#[derive(Debug, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Key, watch::Receiver<Landed>>>>);

/// Who reads a key.
#[derive(Debug)]
pub(super) enum Seat {
    /// The caller.
    Pilot(Flight),
    /// Somebody else.
    Passenger(Ticket),
}

/// The duty to read a key. Dropped before it landed, the passengers read themselves.
#[derive(Debug)]
pub(super) struct Flight {
    flights: Arc<Mutex<HashMap<Key, watch::Receiver<Landed>>>>,
    key: Key,
    landed: watch::Sender<Landed>,
}

/// The right to what another reader finds.
#[derive(Debug)]
pub(super) struct Ticket(watch::Receiver<Landed>);

impl Flights {
    pub(super) fn board(&self, key: &Key) -> Seat {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match flights.entry(key.clone()) {
            hash_map::Entry::Occupied(flight) => Seat::Passenger(Ticket(flight.get().clone())),
            hash_map::Entry::Vacant(place) => {
                let (landed, ticket) = watch::channel(None);
                place.insert(ticket);
                Seat::Pilot(Flight { flights: self.0.clone(), key: key.clone(), landed })
            }
        }
    }
}

impl Flight {
    /// Gives the passengers what was found.
    pub(super) fn land(self, found: Landing) {
        self.landed.send_replace(Some(found));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Ticket {
    /// What the flight found; `None` if it never landed.
    pub(super) async fn arrive(mut self) -> Landed {
        self.0.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone())
    }
}
