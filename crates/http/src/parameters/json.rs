//! Parameters from JSON, straight from the text: no tree is built, and numbers stay as they were written.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Parameter, Parameters, Value};
use crate::fault::WireFault;

/// Reads an object; an empty body is an empty one.
pub(super) fn read(body: &[u8], parameters: &mut Parameters) -> Result<(), WireFault> {
    let text = std::str::from_utf8(body).map_err(|_| WireFault::UnreadableBody)?;
    if text.trim_ascii().is_empty() {
        return Ok(());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_map(ObjectVisitor(parameters)).and_then(|()| deserializer.end());
    read.map_err(|_| WireFault::UnreadableBody)
}

struct ObjectVisitor<'a>(&'a mut Parameters);

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(parameter) = map.next_key_seed(NameSeed)? {
            match parameter {
                Some(parameter) => self.0.set(parameter, value(map.next_value()?).map_err(serde::de::Error::custom)?),
                None => map.next_value::<Nested>().map(|Nested| ())?,
            }
        }
        Ok(())
    }
}

/// A key, as the parameter that it names.
struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Option<Parameter>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Option<Parameter>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Parameter::named(name))
    }
}

/// A scalar as PHP prints it, but that a number stays as it was written: `4142.0` is not `4142`, nor is `1e3` `1000`.
fn value(raw: &RawValue) -> serde_json::Result<Value> {
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'"') => Value::Text(serde_json::from_str(text)?),
        Some(b'[' | b'{') => {
            let Nested = serde_json::from_str(text)?;
            Value::Container
        }
        Some(b'n') => Value::Absent,
        Some(b't') => Value::Text("1".to_owned()),
        Some(b'f') => Value::Text(String::new()),
        _ => Value::Text(text.to_owned()),
    })
}

/// Anything, looked through to its depths, so that what is nested too deeply is refused wherever it stands.
struct Nested;

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while let Some(Self) = seq.next_element()? {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while let Some((IgnoredAny, Self)) = map.next_entry()? {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Parameter, Parameters, Value, read};
    use crate::fault::WireFault;

    fn mobile(value: &str) -> Value {
        let mut parameters = Parameters::default();
        let body = format!(r#"{{"unknown":[1,{{"mobile":0}}],"mobile":{value}}}"#);
        read(body.as_bytes(), &mut parameters).unwrap();
        parameters.get(Parameter::Mobile).clone()
    }

    #[test]
    fn scalars_as_php_prints_them() {
        let scalars = [
            (r#""0944""#, "0944"),
            (r#""a\"\u5317\n""#, "a\"北\n"),
            ("17602128368", "17602128368"),
            ("-5", "-5"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("4142.0", "4142.0"),
            ("4.142e3", "4.142e3"),
            ("1e30", "1e30"),
            ("true", "1"),
            ("false", ""),
        ];
        for (json, text) in scalars {
            assert_eq!(mobile(json), Value::Text(text.to_owned()), "{json}");
        }
        assert_eq!(mobile("null"), Value::Absent);
        for container in ["[]", "{}", "[1]", r#"{"a":[{"b":null}]}"#] {
            assert_eq!(mobile(container), Value::Container, "{container}");
        }
    }

    #[test]
    fn the_last_of_a_kind_counts() {
        let mut parameters = Parameters::default();
        read(br#"{"mobile":[1],"verify":"1","mobile":"2","\u0076erify":3,"city":"x","city":null}"#, &mut parameters)
            .unwrap();
        assert_eq!(parameters.text(Parameter::Mobile), "2");
        assert_eq!(parameters.text(Parameter::Verify), "3");
        assert_eq!(parameters.get(Parameter::City), &Value::Absent);
    }

    #[test]
    fn what_is_no_object_is_unreadable() {
        let read = |body: &[u8]| read(body, &mut Parameters::default());
        for empty in ["", " \r\n", "{}", " {} \n"] {
            assert!(read(empty.as_bytes()).is_ok(), "{empty:?}");
        }
        let unreadable =
            ["[]", "null", "1", "\"x\"", "{", r#"{"mobile":}"#, "{} x", r#"{"mobile":"\ud800"}"#, "\u{FEFF}{}"];
        for body in unreadable {
            assert_eq!(read(body.as_bytes()), Err(WireFault::UnreadableBody), "{body}");
        }
        assert_eq!(read(b"{\"mobile\":\"\xFF\"}"), Err(WireFault::UnreadableBody));
    }

    #[test]
    fn nesting_has_an_end() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            for key in ["mobile", "unknown"] {
                let depth = 10_000;
                let value = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                let body = format!(r#"{{"{key}":{value}}}"#);
                assert_eq!(read(body.as_bytes(), &mut Parameters::default()), Err(WireFault::UnreadableBody));
            }
        }
    }

    proptest! {
        #[test]
        fn strings_arrive_as_they_are(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(mobile(&json), Value::Text(text));
        }

        #[test]
        fn integers_arrive_as_they_are(number in any::<i128>()) {
            prop_assert_eq!(mobile(&number.to_string()), Value::Text(number.to_string()));
        }
    }
}
