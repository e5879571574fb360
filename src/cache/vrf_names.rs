//! Which VRFs have a name or a route distinguisher, so that a request which names its VRF need not go through all of them.

use imbl::HashMap;
use smallvec::SmallVec;

use crate::model::{Vrf, VrfId};

/// The ids of the VRFs that have a text, in order.
type Ids = SmallVec<[VrfId; 1]>;

/// The ids of VRFs by name and by route distinguisher. Of each, several VRFs can have the same: NetBox allows it for names, and
/// changes that swap two route distinguishers arrive one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct VrfNames {
    by_name: HashMap<String, Ids>,
    by_rd: HashMap<String, Ids>,
}

impl VrfNames {
    pub(super) fn insert(&mut self, vrf: &Vrf) {
        insert(&mut self.by_name, &vrf.name, vrf.id);
        if let Some(rd) = &vrf.rd {
            insert(&mut self.by_rd, rd, vrf.id);
        }
    }

    pub(super) fn remove(&mut self, vrf: &Vrf) {
        remove(&mut self.by_name, &vrf.name, vrf.id);
        if let Some(rd) = &vrf.rd {
            remove(&mut self.by_rd, rd, vrf.id);
        }
    }

    pub(super) fn named(&self, name: &str) -> &[VrfId] {
        self.by_name.get(name).map_or(&[], SmallVec::as_slice)
    }

    pub(super) fn with_rd(&self, rd: &str) -> &[VrfId] {
        self.by_rd.get(rd).map_or(&[], SmallVec::as_slice)
    }
}

fn insert(texts: &mut HashMap<String, Ids>, text: &str, id: VrfId) {
    let ids = texts.entry(text.to_owned()).or_default();
    if let Err(at) = ids.binary_search(&id) {
        ids.insert(at, id);
    }
}

fn remove(texts: &mut HashMap<String, Ids>, text: &str, id: VrfId) {
    if let Some(ids) = texts.get_mut(text) {
        ids.retain(|held| *held != id);
        if ids.is_empty() {
            texts.remove(text);
        }
    }
}
