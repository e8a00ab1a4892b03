//! One strict JSON object: every field once, in either spelling, and no field nobody reads.

use crate::error::{quote, suggestion};

/// The text of the error for a field that the object does not have.
pub fn unknown_field(name: &str, known: &[&str]) -> String {
    format!("unknown field `{}`; {}", quote(name), suggestion(name, known.iter().copied()))
}

/// Declares a request object. Each field lists its spellings, the documented one first; every field may be absent or null.
///
/// Derived deserialisers would also take an array for an object and know no nearest name.
macro_rules! object {
    ($(#[$meta:meta])* pub struct $name:ident $(<$life:lifetime>)? {
        $($(#[$field_meta:meta])* $field:ident: $type:ty = $first:literal $(| $alias:literal)*,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub struct $name $(<$life>)? {
            $($(#[$field_meta])* pub $field: Option<$type>,)*
        }

        impl<'de> serde::Deserialize<'de> for $name $(<$life>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name $(<$life>)?;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        use serde::de::Error;
                        $(let mut $field: Option<Option<$type>> = None;)*
                        while let Some(key) = map.next_key::<$crate::request::Text<'de>>()? {
                            match key.as_str() {
                                $($first $(| $alias)* => {
                                    if $field.is_some() {
                                        return Err(A::Error::custom(concat!("field `", $first, "` is given twice")));
                                    }
                                    $field = Some(map.next_value()?);
                                })*
                                other => {
                                    return Err(A::Error::custom($crate::request::unknown_field(other, &[$($first),*])));
                                }
                            }
                        }
                        Ok($name { $($field: $field.flatten()),* })
                    }
                }

                deserializer.deserialize_map(Fields)
            }
        }
    };
}
pub(crate) use object;
