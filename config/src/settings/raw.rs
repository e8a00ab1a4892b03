//! The shape of a settings file: fields and kinds; values are checked afterwards.

use crate::decode::{At, OneOrMany, Pairs, Spelled, record};

record! {
    /// A settings file.
    pub struct RawSettings = "settings file" {
        engine: Option<RawEngine>,
        http: Option<RawHttp>,
        kafka: Option<RawKafka>,
        store: Option<RawStore>,
        offline: Option<RawOffline>,
        workspace: Option<RawWorkspace>,
    }
}

record! {
    pub struct RawEngine = "section [engine]" {
        workers: Option<At<Spelled>>,
        data_dir: Option<At<String>>,
        epoch: Option<At<Spelled>>,
        clock: Option<At<String>>,
    }
}

record! {
    pub struct RawHttp = "section [http]" {
        listen: Option<At<String>>,
        threads: Option<At<Spelled>>,
        max_body: Option<At<Spelled>>,
        max_batch: Option<At<Spelled>>,
        max_in_flight: Option<At<Spelled>>,
    }
}

record! {
    pub struct RawKafka = "section [kafka]" {
        brokers: At<OneOrMany<At<String>>>,
        group: Option<At<String>>,
        options: Option<Pairs<At<Spelled>>>,
    }
}

record! {
    pub struct RawStore = "section [store]" {
        kind: At<String>,
        memory: Option<At<Spelled>>,
        nodes: Option<OneOrMany<At<String>>>,
        keyspace: Option<At<String>>,
        replication: Option<At<Spelled>>,
    }
}

record! {
    pub struct RawOffline = "section [offline]" {
        path: Option<At<String>>,
    }
}

record! {
    pub struct RawWorkspace = "section [workspace]" {
        name: Option<At<String>>,
    }
}
