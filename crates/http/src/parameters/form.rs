//! Parameters from forms and query strings, named as PHP names them.

use bytes::Bytes;
use poem::Body;

use super::{Parameter, Parameters, Value};
use crate::fault::WireFault;

/// Reads `a=b&c=d`. Nothing in it can be wrong: what is no UTF-8 becomes U+FFFD.
pub(super) fn read_urlencoded(encoded: &[u8], parameters: &mut Parameters) {
    for (name, value) in form_urlencoded::parse(encoded) {
        put(&name, || value.into_owned(), parameters);
    }
}

/// Reads a `multipart/form-data` body (RFC 7578). Files count as unknown parameters.
pub(super) async fn read_multipart(
    content_type: &str,
    body: Bytes,
    parameters: &mut Parameters,
) -> Result<(), WireFault> {
    if body.is_empty() {
        return Ok(());
    }
    let boundary = multer::parse_boundary(content_type).map_err(|_| WireFault::UnreadableBody)?;
    let mut parts = multer::Multipart::new(Body::from(body).into_bytes_stream(), boundary);
    while let Some(part) = parts.next_field().await.map_err(|_| WireFault::UnreadableBody)? {
        let name = part.name().filter(|_| part.file_name().is_none()).map(ToOwned::to_owned);
        let value = part.bytes().await.map_err(|_| WireFault::UnreadableBody)?;
        if let Some(name) = name {
            put(&name, || String::from_utf8_lossy(&value).into_owned(), parameters);
        }
    }
    Ok(())
}

/// `mobile[]` and `mobile[a]` make an array of `mobile`.
fn put(name: &str, value: impl FnOnce() -> String, parameters: &mut Parameters) {
    let bracket = name.find('[').filter(|&bracket| bracket > 0 && name[bracket..].contains(']'));
    let scalar_name = bracket.map_or(name, |bracket| &name[..bracket]);
    let Some(parameter) = Parameter::named(scalar_name) else { return };
    let value = if bracket.is_some() { Value::Container } else { Value::Text(value()) };
    parameters.set(parameter, value);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Parameter, Parameters, Value, read_multipart, read_urlencoded};

    fn urlencoded(encoded: impl AsRef<[u8]>) -> Parameters {
        let mut parameters = Parameters::default();
        read_urlencoded(encoded.as_ref(), &mut parameters);
        parameters
    }

    #[test]
    fn forms_as_php_reads_them() {
        let parameters = urlencoded("mobile=1&mobile=2&nickname=a+b%20c&city=%E5%8C%97%zz&verify&=x&lang[]=en");
        assert_eq!(parameters.text(Parameter::Mobile), "2");
        assert_eq!(parameters.text(Parameter::Nickname), "a b c");
        assert_eq!(parameters.text(Parameter::City), "北%zz");
        assert_eq!(parameters.get(Parameter::Verify), &Value::Text(String::new()));
        assert_eq!(parameters.get(Parameter::Lang), &Value::Container);
        for array in ["mobile[a]=1", "mobile=1&mobile[]=2", "mobile[a][b]=1", "mobile%5B%5D=1"] {
            assert_eq!(urlencoded(array).get(Parameter::Mobile), &Value::Container, "{array}");
        }
        assert_eq!(urlencoded("mobile[]=1&mobile=2").text(Parameter::Mobile), "2");
        assert_eq!(urlencoded("mobile[=1&[mobile]=2&[]=3").get(Parameter::Mobile), &Value::Absent);
    }

    #[test]
    fn what_is_no_utf8_is_replaced() {
        assert_eq!(urlencoded(b"nickname=a%FFb\xFEc").text(Parameter::Nickname), "a\u{FFFD}b\u{FFFD}c");
    }

    async fn multipart(body: &[u8]) -> Result<Parameters, crate::fault::WireFault> {
        let mut parameters = Parameters::default();
        read_multipart("multipart/form-data; boundary=X", Bytes::copy_from_slice(body), &mut parameters).await?;
        Ok(parameters)
    }

    #[tokio::test]
    async fn multipart_text_counts_and_files_do_not() {
        let body = b"--X\r\ncontent-disposition: form-data; name=\"mobile\"\r\n\r\n17602128368\r\n\
            --X\r\ncontent-disposition: form-data; name=\"avatar\"; filename=\"a.png\"\r\n\r\nPNG\r\n\
            --X\r\ncontent-disposition: form-data; name=\"nickname\"\r\n\r\na\xFFb\r\n\
            --X\r\ncontent-disposition: form-data; name=\"city[]\"\r\n\r\nx\r\n--X--\r\n";
        let parameters = multipart(body).await.unwrap();
        assert_eq!(parameters.text(Parameter::Mobile), "17602128368");
        assert_eq!(parameters.get(Parameter::Avatar), &Value::Absent);
        assert_eq!(parameters.text(Parameter::Nickname), "a\u{FFFD}b");
        assert_eq!(parameters.get(Parameter::City), &Value::Container);
    }

    #[tokio::test]
    async fn multipart_that_breaks_off_is_unreadable() {
        assert!(multipart(b"").await.is_ok());
        for broken in [&b"--X\r\ncontent-disposition: form-data; name=\"mobile\"\r\n\r\n176"[..], b"mobile=1"] {
            assert!(multipart(broken).await.is_err());
        }
        let mut parameters = Parameters::default();
        assert!(read_multipart("multipart/form-data", Bytes::from_static(b"x"), &mut parameters).await.is_err());
    }
}
