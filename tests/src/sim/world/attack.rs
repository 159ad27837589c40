//! Gives the attacker his place in the world.

use std::rc::Rc;

use super::World;
use crate::sim::plan::AttackerDeed;

/// Begins what somebody does who means harm.
pub(super) fn begin(_world: &Rc<World>, _deed: &AttackerDeed) {}
