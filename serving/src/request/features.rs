//! The bodies of `get-features`, `get-features-batch` and `metadata`.

use std::time::Duration;

use freshet_config::time::EventTime;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::object;
use super::scalar::{ContextMap, Flag, Integer, JoinKeyMap, Text};
use crate::error::{ApiError, quote};

/// What every request body is: its parameters under one name.
#[derive(Debug)]
pub struct Envelope<P> {
    pub params: P,
}

object! {
    /// The parameters of a lookup: of one row (`joinKeyMap`) or of many (`requestData`).
    pub struct FeatureParams<'de> {
        workspace_name: Text<'de> = "workspaceName" | "workspace_name",
        service_name: Text<'de> = "featureServiceName" | "feature_service_name",
        service_id: IgnoredAny = "featureServiceId" | "feature_service_id",
        view_name: IgnoredAny = "featureViewName" | "feature_view_name",
        view_id: IgnoredAny = "featureViewId" | "feature_view_id",
        join_keys: JoinKeyMap<'de> = "joinKeyMap" | "join_key_map",
        context: ContextMap<'de> = "requestContextMap" | "request_context_map",
        rows: Vec<RequestRow<'de>> = "requestData" | "request_data",
        #[expect(dead_code, reason = "accepted: an answer is whole or an error")]
        allow_partial_results: Flag = "allowPartialResults" | "allow_partial_results",
        #[expect(dead_code, reason = "accepted: it says nothing about the values")]
        is_caller_batch: Flag = "isCallerBatch" | "is_caller_batch",
        metadata_options: MetadataOptions = "metadataOptions" | "metadata_options",
        request_options: RequestOptions<'de> = "requestOptions" | "request_options",
    }
}

object! {
    /// One row of a batch.
    pub struct RequestRow<'de> {
        join_keys: JoinKeyMap<'de> = "joinKeyMap" | "join_key_map",
        context: ContextMap<'de> = "requestContextMap" | "request_context_map",
    }
}

object! {
    /// Which metadata the answer carries; absent is none.
    pub struct MetadataOptions {
        names: Flag = "includeNames" | "include_names",
        data_types: Flag = "includeDataTypes" | "include_data_types",
        /// The older spelling of `data_types`.
        types: Flag = "includeTypes" | "include_types",
        effective_times: Flag = "includeEffectiveTimes" | "include_effective_times",
        slo_info: Flag = "includeSloInfo" | "include_slo_info",
        serving_status: Flag = "includeServingStatus" | "include_serving_status",
        descriptions: Flag = "includeFeatureDescriptions" | "include_feature_descriptions",
        tags: Flag = "includeFeatureTags" | "include_feature_tags",
    }
}

object! {
    /// How the rows are read.
    pub struct RequestOptions<'de> {
        #[expect(dead_code, reason = "accepted: rows are never cached between the store and the answer")]
        read_from_cache: Flag = "readFromCache" | "read_from_cache",
        #[expect(dead_code, reason = "accepted, as above")]
        write_to_cache: Flag = "writeToCache" | "write_to_cache",
        ignore_extra_context: Flag = "ignoreExtraRequestContextFields" | "ignore_extra_request_context_fields",
        latency_budget_ms: Integer = "latencyBudgetMs" | "latency_budget_ms",
        coerce_null_counts: Flag = "coerceNullCountsToZero" | "coerce_null_counts_to_zero",
        leading_edge: Text<'de> = "aggregationLeadingEdge" | "aggregation_leading_edge",
        high_watermark: IgnoredAny = "highWatermarkOverride" | "high_watermark_override",
        /// The instant asked for, RFC 3339.
        as_of: Text<'de> = "asOf" | "as_of",
    }
}

object! {
    /// The parameters of `metadata`.
    pub struct MetadataParams<'de> {
        workspace_name: Text<'de> = "workspaceName" | "workspace_name",
        service_name: Text<'de> = "featureServiceName" | "feature_service_name",
        service_id: IgnoredAny = "featureServiceId" | "feature_service_id",
    }
}

/// Reads a body of the form `{"params": {..}}`.
pub fn parse<'de, P: Deserialize<'de>>(body: &'de [u8]) -> Result<Envelope<P>, ApiError> {
    if body.is_empty() {
        return Err(ApiError::invalid("the request body is empty: send a JSON object with `params`"));
    }
    // The macro cannot be generic, so the envelope is read by a visitor of its own shape.
    struct Params<P>(Option<P>);
    impl<'de, P: Deserialize<'de>> Deserialize<'de> for Params<P> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Fields<P>(std::marker::PhantomData<P>);
            impl<'de, P: Deserialize<'de>> serde::de::Visitor<'de> for Fields<P> {
                type Value = Params<P>;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object with `params`")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                    use serde::de::Error;
                    let mut params = None;
                    while let Some(key) = map.next_key::<Text<'de>>()? {
                        match key.as_str() {
                            "params" if params.is_some() => {
                                return Err(A::Error::custom("field `params` is given twice"));
                            }
                            "params" => params = Some(map.next_value()?),
                            other => return Err(A::Error::custom(super::unknown_field(other, &["params"]))),
                        }
                    }
                    Ok(Params(params))
                }
            }
            deserializer.deserialize_map(Fields(std::marker::PhantomData))
        }
    }
    let Params(params) =
        serde_json::from_slice::<Params<P>>(body).map_err(|error| ApiError::malformed(body, &error))?;
    match params {
        Some(params) => Ok(Envelope { params }),
        None => Err(ApiError::invalid("the request body has no `params`").at("/params".to_string())),
    }
}

/// Which parts of the metadata were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub names: bool,
    pub data_types: bool,
    pub descriptions: bool,
    pub tags: bool,
    pub effective_times: bool,
    pub serving_status: bool,
    pub slo_info: bool,
}

impl Selection {
    pub fn new(options: &MetadataOptions) -> Selection {
        let on = |flag: &Option<Flag>| flag.is_some_and(|flag| flag.0);
        Selection {
            names: on(&options.names),
            data_types: on(&options.data_types) || on(&options.types),
            descriptions: on(&options.descriptions),
            tags: on(&options.tags),
            effective_times: on(&options.effective_times),
            serving_status: on(&options.serving_status),
            slo_info: on(&options.slo_info),
        }
    }

    /// Whether any feature gets an entry.
    pub fn any_feature(self) -> bool {
        self.names || self.data_types || self.descriptions || self.tags || self.effective_times || self.serving_status
    }
}

impl RequestOptions<'_> {
    /// The instant asked for, or `now`.
    pub fn instant(&self, now: EventTime) -> Result<EventTime, ApiError> {
        let pointer = |name: &str| format!("/params/requestOptions/{name}");
        if let Some(edge) = &self.leading_edge {
            let name = edge.as_str();
            if !name.contains("WALL_CLOCK") && !name.contains("UNSPECIFIED") {
                let message = format!(
                    "windows end at the request's instant, not at `{}`; ask for an instant with asOf",
                    quote(name)
                );
                return Err(ApiError::invalid(message).at(pointer("aggregationLeadingEdge")));
            }
        }
        if self.high_watermark.is_some() {
            let message = "a high watermark cannot be set by a request; ask for an instant with asOf";
            return Err(ApiError::invalid(message).at(pointer("highWatermarkOverride")));
        }
        match &self.as_of {
            None => Ok(now),
            Some(text) if text.as_str().len() > 64 => {
                Err(ApiError::invalid(format!("`{}` is no RFC 3339 instant", quote(text.as_str()))).at(pointer("asOf")))
            }
            Some(text) => EventTime::parse(text.as_str())
                .map_err(|error| ApiError::invalid(error.to_string()).at(pointer("asOf"))),
        }
    }

    /// The time the store gets: the caller's budget, at most the server's.
    pub fn deadline(&self, limit: Duration) -> Result<Duration, ApiError> {
        match self.latency_budget_ms {
            None => Ok(limit),
            Some(Integer(millis)) if millis > 0 => Ok(limit.min(Duration::from_millis(millis.unsigned_abs()))),
            Some(Integer(millis)) => {
                Err(ApiError::invalid(format!("a latency budget of {millis} ms leaves no time; send at least 1"))
                    .at("/params/requestOptions/latencyBudgetMs".to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> ApiError {
        parse::<FeatureParams>(body.as_bytes()).map(|_| ()).unwrap_err()
    }

    #[test]
    fn the_clients_exact_body_is_read() {
        let body = br#"{"params":{"workspaceName":"prod","featureServiceName":"svc","joinKeyMap":{"user_id":"u1"},"requestContextMap":{},
            "allowPartialResults":false,"metadataOptions":{"includeNames":true,"includeTypes":true,"includeSloInfo":false},
            "requestOptions":{"readFromCache":true,"writeToCache":false,"ignoreExtraRequestContextFields":true,"latencyBudgetMs":"100",
            "coerceNullCountsToZero":true}}}"#;
        let params = parse::<FeatureParams>(body).unwrap().params;
        assert_eq!(params.service_name.unwrap().as_str(), "svc");
        let selection = Selection::new(&params.metadata_options.unwrap());
        assert_eq!(selection, Selection { names: true, data_types: true, ..Selection::default() });
        let options = params.request_options.unwrap();
        assert_eq!(options.deadline(Duration::from_secs(2)), Ok(Duration::from_millis(100)));
        assert!(options.coerce_null_counts.unwrap().0);
    }

    #[test]
    fn snake_case_and_null_are_read() {
        let body = br#"{"params":{"workspace_name":null,"feature_service_name":"svc","request_data":[{"join_key_map":{"a":1}},{}],
            "request_options":{"as_of":"2026-01-01T00:00:00Z"}}}"#;
        let params = parse::<FeatureParams>(body).unwrap().params;
        assert!(params.workspace_name.is_none());
        assert_eq!(params.rows.unwrap().len(), 2);
        let at = params.request_options.unwrap().instant(EventTime::default()).unwrap();
        assert_eq!(at.to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (body, position, needle) in [
            ("", None, "empty"),
            ("{}", None, "no `params`"),
            ("[]", Some((1, 1)), "`params` is expected here, not a list"),
            ("\u{feff}{}", Some((1, 1)), "a byte order mark of UTF-8 is in front"),
            ("{\"params\":{}}x", Some((1, 14)), "something follows the JSON value"),
            ("{\"params\":{\n\"joinKeyMap\":{},}}", Some((2, 17)), "trailing comma"),
            ("{\"params\":{\"joinKeyMpa\":{}}}", Some((1, 23)), "did you mean `joinKeyMap`?"),
            ("{\"params\":{\"joinKeyMap\":{},\"join_key_map\":{}}}", None, "`joinKeyMap` is given twice"),
            ("{\"params\":{},\"params\":{}}", None, "`params` is given twice"),
            ("{\"params\":{\"joinKeyMap\":{\"a\":1,\"a\":1}}}", None, "`a` is given twice"),
            ("{\"params\":{\"metadataOptions\":[]}}", None, "an object is expected here, not a list"),
            ("{\"params\":{\"metadataOptions\":{\"includeNames\":\"yes\"}}}", None, "a boolean is expected here"),
        ] {
            let error = error(body);
            assert!(error.message.contains(needle), "{body}: {}", error.message);
            if position.is_some() {
                assert_eq!(error.position, position, "{body}");
            }
        }
    }

    #[test]
    fn depth_ends_in_an_error() {
        let deep = "[".repeat(200_000);
        for body in [
            deep.clone(),
            format!("{{\"params\":{deep}"),
            format!("{{\"params\":{{\"requestContextMap\":{{\"a\":{deep}"),
        ] {
            assert_eq!(error(&body).kind, crate::error::ErrorKind::Invalid);
        }
    }

    #[test]
    fn options_that_would_change_a_value_are_refused() {
        let now = EventTime::from_micros(7);
        let parse = |text: &'static str| serde_json::from_str::<RequestOptions>(text).unwrap();
        assert_eq!(parse("{}").instant(now), Ok(now));
        for (text, pointer) in [
            (r#"{"asOf":"yesterday"}"#, "asOf"),
            (r#"{"asOf":"2026-01-01T00:00:00"}"#, "asOf"),
            (r#"{"aggregationLeadingEdge":"LATEST_EVENT_TIME"}"#, "aggregationLeadingEdge"),
            (r#"{"highWatermarkOverride":"2026-01-01T00:00:00Z"}"#, "highWatermarkOverride"),
        ] {
            let error = parse(text).instant(now).unwrap_err();
            assert_eq!(error.pointer, Some(format!("/params/requestOptions/{pointer}")));
        }
        let limit = Duration::from_secs(2);
        assert_eq!(parse(r#"{"latencyBudgetMs":1000000000}"#).deadline(limit), Ok(limit));
        for text in [r#"{"latencyBudgetMs":0}"#, r#"{"latencyBudgetMs":-1}"#] {
            assert!(parse(text).deadline(limit).is_err());
        }
    }
}
