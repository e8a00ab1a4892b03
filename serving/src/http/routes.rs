//! Paths and methods: what there is, and what to say where there is nothing.

use hyper::Method;
use hyper::header::{self, HeaderMap};

use crate::error::{ApiError, ErrorKind, quote, suggestion};
use crate::metrics::Route;

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    GetFeatures,
    GetFeaturesBatch,
    Metadata,
    Ingest,
    Metrics,
    Live,
    Ready,
    Stats,
    Page,
    Style,
    Script,
}

/// Path, endpoint, and whether it is asked by POST (else by GET and HEAD).
const ENDPOINTS: [(&str, Endpoint, bool); 12] = [
    ("/api/v1/feature-service/get-features", Endpoint::GetFeatures, true),
    ("/api/v1/feature-service/get-features-batch", Endpoint::GetFeaturesBatch, true),
    ("/api/v1/feature-service/metadata", Endpoint::Metadata, true),
    ("/ingest", Endpoint::Ingest, true),
    ("/metrics", Endpoint::Metrics, false),
    ("/healthz", Endpoint::Live, false),
    ("/livez", Endpoint::Live, false),
    ("/readyz", Endpoint::Ready, false),
    ("/api/v1/stats", Endpoint::Stats, false),
    ("/", Endpoint::Page, false),
    ("/assets/page.css", Endpoint::Style, false),
    ("/assets/page.js", Endpoint::Script, false),
];

impl Endpoint {
    /// The endpoint of a path, asked in its way. Paths are compared as they are: nothing is decoded or joined.
    pub fn find(method: &Method, path: &str) -> Result<Endpoint, ApiError> {
        let Some((_, endpoint, post)) = ENDPOINTS.iter().find(|(known, _, _)| *known == path) else {
            let hint = suggestion(path, ENDPOINTS.iter().map(|(known, _, _)| *known));
            return Err(ApiError::not_found(format!("no route `{}`; {hint}", quote(path))));
        };
        let allowed = if *post { method == Method::POST } else { method == Method::GET || method == Method::HEAD };
        if allowed {
            return Ok(*endpoint);
        }
        let allow = if *post { "POST" } else { "GET, HEAD" };
        let message = format!("{path} is asked by {allow}, not by {}", quote(method.as_str()));
        let mut error = ApiError::new(ErrorKind::Method, message);
        error.allow = Some(allow);
        Err(error)
    }

    /// The route of its figures.
    pub fn route(self) -> Route {
        match self {
            Endpoint::GetFeatures => Route::GetFeatures,
            Endpoint::GetFeaturesBatch => Route::GetFeaturesBatch,
            Endpoint::Metadata => Route::Metadata,
            Endpoint::Ingest => Route::Ingest,
            _ => Route::Operations,
        }
    }
}

/// Refuses a body that says it is not plain JSON in UTF-8. One that says nothing is taken at its word: clients of this
/// interface send none.
pub fn check_body(headers: &HeaderMap) -> Result<(), ApiError> {
    check_content_type(headers)?;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes());
        if !text.trim().eq_ignore_ascii_case("identity") {
            let message =
                format!("the body is encoded as `{}`; send it as it is, without content-encoding", quote(&text));
            return Err(ApiError::new(ErrorKind::MediaType, message));
        }
    }
    Ok(())
}

/// Refuses a request for which two hosts are named (RFC 9112, section 3.2): a proxy in front may have gone by the other one.
pub fn check_host(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get_all(header::HOST).iter().nth(1) {
        None => Ok(()),
        Some(_) => Err(ApiError::invalid("the request has more than one Host; send one")),
    }
}

/// Refuses a body of which nobody can tell where it ends, or that is coded beyond being sent in chunks. `two_lengths`: the
/// request has a `Content-Length` beside its `Transfer-Encoding`.
pub fn check_framing(headers: &HeaderMap, two_lengths: bool) -> Result<(), ApiError> {
    if two_lengths {
        let message = "the request has both Content-Length and Transfer-Encoding, so that nobody can tell where it ends; \
                       send one of them";
        return Err(ApiError::invalid(message));
    }
    let values = headers.get_all(header::TRANSFER_ENCODING).iter();
    let text = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect::<Vec<_>>().join(", ");
    let codings: Vec<&str> = text.split(',').map(str::trim).filter(|coding| !coding.is_empty()).collect();
    let chunked = |coding: &&str| coding.eq_ignore_ascii_case("chunked");
    if !codings.iter().all(chunked) {
        let message = format!("the body's transfer-encoding is `{}`; send `chunked` alone", quote(&text));
        return Err(ApiError::new(ErrorKind::Coding, message));
    }
    if codings.len() > 1 {
        return Err(ApiError::invalid("the body's transfer-encoding is `chunked` more than once; send it once"));
    }
    Ok(())
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")) {
        return check_charset(&text);
    }
    let message = format!("the body is `{}`; send application/json", quote(&text));
    Err(ApiError::new(ErrorKind::MediaType, message))
}

/// JSON is UTF-8, or ASCII, which is UTF-8.
fn check_charset(content_type: &str) -> Result<(), ApiError> {
    for parameter in content_type.split(';').skip(1) {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        let known = ["utf-8", "utf8", "us-ascii"].iter().any(|known| value.eq_ignore_ascii_case(known));
        if name.trim().eq_ignore_ascii_case("charset") && !known {
            let message = format!("the body's charset is `{}`; send UTF-8", quote(value));
            return Err(ApiError::new(ErrorKind::MediaType, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_exact() {
        assert_eq!(Endpoint::find(&Method::HEAD, "/readyz"), Ok(Endpoint::Ready));
        for path in ["//metrics", "/metrics/", "/%6detrics", "/../metrics", "/METRICS", ""] {
            assert_eq!(Endpoint::find(&Method::GET, path).unwrap_err().kind, ErrorKind::NotFound, "{path}");
        }
        let near = Endpoint::find(&Method::POST, "/api/v1/feature-service/get-feature").unwrap_err();
        assert!(near.message.ends_with("did you mean `/api/v1/feature-service/get-features`?"), "{}", near.message);
    }

    #[test]
    fn a_wrong_method_names_the_right_one() {
        for (method, path, allow) in [
            (Method::GET, "/ingest", "POST"),
            (Method::POST, "/metrics", "GET, HEAD"),
            (Method::TRACE, "/", "GET, HEAD"),
            (Method::OPTIONS, "/api/v1/feature-service/metadata", "POST"),
        ] {
            let error = Endpoint::find(&method, path).unwrap_err();
            assert_eq!((error.kind, error.allow), (ErrorKind::Method, Some(allow)));
        }
    }

    #[test]
    fn json_goes_by_several_names() {
        let check = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            check_content_type(&headers)
        };
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json;x=y; Charset=\"UTF-8\"",
            "application/vnd.api+json",
        ] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in [
            "application/json; charset=utf-16",
            "application/json;charset=latin1",
            "text/xml",
            "application/x-www-form-urlencoded",
            "json",
            "",
            "text/plain+json",
        ] {
            assert_eq!(check(bad).unwrap_err().kind, ErrorKind::MediaType);
        }
        assert_eq!(check_content_type(&HeaderMap::new()), Ok(()));
    }

    #[test]
    fn chunks_are_the_only_coding_on_the_way() {
        let check = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::TRANSFER_ENCODING, header::HeaderValue::from_static(value));
            }
            check_framing(&headers, false).map_err(|error| error.kind)
        };
        for good in [&["chunked"][..], &["Chunked"], &[" chunked ,"]] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
        for unknown in [&["gzip, chunked"][..], &["gzip", "chunked"], &["identity, chunked"], &["chunked;q=1, chunked"]]
        {
            assert_eq!(check(unknown), Err(ErrorKind::Coding), "{unknown:?}");
        }
        for twice in [&["chunked, chunked"][..], &["chunked", "CHUNKED"]] {
            assert_eq!(check(twice), Err(ErrorKind::Invalid), "{twice:?}");
        }
        assert!(check_framing(&HeaderMap::new(), true).is_err());
    }

    #[test]
    fn a_body_is_sent_as_it_is() {
        let check = |encodings: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for encoding in encodings {
                headers.append(header::CONTENT_ENCODING, header::HeaderValue::from_static(encoding));
            }
            check_body(&headers).map_err(|error| error.kind)
        };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&["Identity"]), Ok(()));
        for bad in [&["gzip"][..], &["identity", "br"], &["identity, gzip"], &[""]] {
            assert_eq!(check(bad), Err(ErrorKind::MediaType), "{bad:?}");
        }
    }
}
