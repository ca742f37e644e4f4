//! Defines structs as an older layout stored them, and converts them to those of today. Such structs never change
//! again.
//!
//! Ids, times and amounts (`RowId`, `SessionId`, `AgentId`, `UnitId`, `FileNumber`, `Timestamp`, `Money`) are plain
//! numbers and texts, the same in every layout.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::transcript::ids::RowId;
use crate::transcript::time::Timestamp;

/// Conversion of a stored struct to that of today.
pub(super) trait Thaw<T> {
    fn thaw(self) -> T;
}

impl<A: Thaw<B>, B> Thaw<Option<B>> for Option<A> {
    fn thaw(self) -> Option<B> {
        self.map(Thaw::thaw)
    }
}

impl<A: Thaw<B>, B> Thaw<Box<B>> for Box<A> {
    fn thaw(self) -> Box<B> {
        Box::new((*self).thaw())
    }
}

impl<A: Thaw<B>, B> Thaw<(Timestamp, B)> for (Timestamp, A) {
    fn thaw(self) -> (Timestamp, B) {
        (self.0, self.1.thaw())
    }
}

impl<A: Thaw<B>, B> Thaw<Vec<B>> for Vec<A> {
    fn thaw(self) -> Vec<B> {
        self.into_iter().map(Thaw::thaw).collect()
    }
}

impl<K: Ord, A: Thaw<B>, B> Thaw<BTreeMap<K, B>> for BTreeMap<K, A> {
    fn thaw(self) -> BTreeMap<K, B> {
        self.into_iter().map(|(key, value)| (key, value.thaw())).collect()
    }
}

/// Implements [`Thaw`] for types that are the same in every layout.
macro_rules! the_same {
    ($($kind:ty),* $(,)?) => {
        $(impl Thaw<$kind> for $kind {
            fn thaw(self) -> $kind {
                self
            }
        })*
    };
}

the_same!(
    bool,
    u16,
    u32,
    i32,
    u64,
    i64,
    Vec<u8>,
    Box<str>,
    Arc<str>,
    crate::ledger::money::Money,
    crate::ledger::unit::UnitId,
    crate::transcript::chunk::FileNumber,
    crate::transcript::ids::AgentId,
    RowId,
    (Box<str>, RowId),
    (RowId, Arc<str>),
    crate::transcript::ids::SessionId,
    crate::ledger::runs::Runs,
    BTreeSet<crate::transcript::ids::SessionId>,
    Timestamp,
);

/// Defines a stored struct, each field of which becomes the field of the same name today. Fields that are new stand
/// behind a semicolon, with their values.
macro_rules! frozen {
    ($(struct $name:ident => $today:ty { $($field:ident: $kind:ty),* $(,)? $(; $($new:ident: $value:expr),* $(,)?)? })*) => {
        $(
            #[derive(serde::Deserialize)]
            pub(super) struct $name {
                $(pub(super) $field: $kind,)*
            }

            impl Thaw<$today> for $name {
                fn thaw(self) -> $today {
                    type Today = $today;
                    Today { $($field: self.$field.thaw(),)* $($($new: $value,)*)? }
                }
            }
        )*
    };
}

/// Defines a stored enum without fields, each variant of which becomes the variant of the same name today.
macro_rules! frozen_choice {
    ($(enum $name:ident => $today:ty { $($variant:ident),* $(,)? })*) => {
        $(
            #[derive(serde::Deserialize)]
            pub(super) enum $name {
                $($variant,)*
            }

            impl Thaw<$today> for $name {
                fn thaw(self) -> $today {
                    type Today = $today;
                    match self {
                        $(Self::$variant => Today::$variant,)*
                    }
                }
            }
        )*
    };
}

pub(super) use {frozen, frozen_choice};
