//! What the client says of brokers, in plain words: without its counters, its states and the names of its parts.

use rdkafka::error::{KafkaError as NativeError, RDKafkaErrorCode};

/// A reason as the client logs it: `HOST:PORT/ID: Connect to ipv4#IP:PORT failed: Connection refused (after 0ms in state
/// CONNECT)` becomes `HOST:PORT: Connection refused`.
pub(super) fn plain(reason: &str) -> String {
    let reason = reason.split_once(" (after ").map_or(reason, |(said, _)| said);
    let (broker, said) = match reason.split_once(": ") {
        Some((from, said)) if from.contains('/') && !from.contains(' ') => (from.split('/').next(), said),
        _ => (None, reason),
    };
    let said = match said.strip_prefix("Connect to ").and_then(|said| said.split_once(" failed: ")) {
        Some((_, why)) => why,
        None => said,
    };
    // The broker's name is in the rest already where it could not be resolved.
    match broker.filter(|broker| !said.contains(broker)) {
        Some(broker) => format!("{broker}: {said}"),
        None => said.to_string(),
    }
}

/// A code that no reason came with.
pub(super) fn plain_code(code: RDKafkaErrorCode) -> String {
    use RDKafkaErrorCode as Code;
    match code {
        Code::BrokerTransportFailure | Code::NetworkException => "the connection failed".to_string(),
        Code::AllBrokersDown => "no broker is up".to_string(),
        Code::OperationTimedOut | Code::RequestTimedOut => "no answer came in time".to_string(),
        Code::MessageTimedOut => "no broker acknowledged them in time".to_string(),
        Code::Resolve => "the name of the host is not known".to_string(),
        other => {
            // `Code (Broker: words)`
            let text = other.to_string();
            let words = text.split_once('(').map_or(text.as_str(), |(_, words)| words.trim_end_matches(')'));
            words.split_once(": ").map_or(words, |(_, words)| words).to_string()
        }
    }
}

/// An error of a call of the client.
pub(super) fn plain_error(error: &NativeError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), plain_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_words_become_plain() {
        for (said, wanted) in [
            (
                "127.0.0.1:9/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused (after 0ms in state CONNECT, 580 \
                 identical error(s) suppressed)",
                "127.0.0.1:9: Connection refused",
            ),
            ("k:9092/1: Disconnected (after 2000ms in state UP)", "k:9092: Disconnected"),
            (
                "nowhere:9092/bootstrap: Failed to resolve 'nowhere:9092': Name or service not known (after 3ms in state CONNECT)",
                "Failed to resolve 'nowhere:9092': Name or service not known",
            ),
            ("1/1 brokers are down", "1/1 brokers are down"),
        ] {
            assert_eq!(plain(said), wanted);
        }
        assert_eq!(plain_code(RDKafkaErrorCode::OperationTimedOut), "no answer came in time");
        let other = plain_code(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(other, "Topic authorization failed");
    }
}
