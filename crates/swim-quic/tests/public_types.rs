//! What users may expect of every type: it crosses threads, and errors are errors wherever they go.

use std::error::Error;

use swim_quic::*;

/// Stops compiling when one of them does not cross threads.
macro_rules! cross_threads {
    ($($type:ty),+ $(,)?) => {{
        fn check<T: Send + Sync + 'static>() {}
        $(check::<$type>();)+
    }};
}

/// As what `?` turns them into.
macro_rules! are_errors {
    ($($type:ty),+ $(,)?) => {{
        fn check<T: Error + Send + Sync + 'static>() {}
        $(check::<$type>();)+
    }};
}

#[test]
fn all_types_cross_threads() {
    cross_threads!(
        Advertise,
        Authority,
        Builder,
        Cluster,
        Config,
        ConnectionInfo,
        DeliveryReport,
        Driver,
        EncodedCertificate,
        EndpointStats,
        Event,
        Existing,
        Fingerprint,
        Identity,
        IdentityFiles,
        Incoming<Event>,
        IncomingDatagram,
        IncomingStream,
        Issued,
        JoinReport,
        LeaveReport,
        Limits,
        Member,
        MemberName,
        MemberRequest,
        MemberState,
        Members,
        MembershipStats,
        NameFields,
        NamePolicy,
        NameReading,
        PeerCertificate,
        RawDatagram,
        RawSocket,
        RefusedBy,
        Remark,
        SecretKey,
        SpiffePattern,
        Stats,
        StopReason,
        Stream,
        Subscription,
        SubscriptionLimits,
        Trust,
        Verification,
    );
}

#[test]
fn all_errors_are_errors_and_cross_threads() {
    are_errors!(
        AddressError,
        AdvertiseError,
        AnnounceError,
        AuthorityError,
        BroadcastError,
        CommandError,
        ConfigError,
        ConnectError,
        ConnectionError,
        ContextError,
        DevelopmentError,
        DialFailure,
        DoubtError,
        DriverError,
        EndpointError,
        FingerprintError,
        IdentityError,
        IdentityFilesError,
        IssueError,
        JoinError,
        JoinFailure,
        JoinFailureReason,
        JoinFailures,
        KernelRefusal,
        KeysError,
        LeaveError,
        LimitsError,
        ListenError,
        NameError,
        Objection,
        ObjectionCause,
        OpenStreamError,
        PingError,
        RawError,
        ReadError,
        ReconfigureError,
        RecvError,
        RecvTimeoutError,
        Refusal,
        ResolveError,
        RevokeError,
        RotateError,
        SaveError,
        SeedsError,
        SendDatagramError,
        SendError,
        SendFailure,
        SetMetaError,
        SetUserStateError,
        SharedIoError,
        SpiffePatternError,
        StartError,
        StreamError,
        StreamFailure,
        StreamIoError,
        TryRecvError,
        UnacceptableAnswer,
        WriteError,
    );
}

#[test]
fn the_defaults_are_those_of_a_local_network() {
    assert_eq!(Config::default(), Config::lan());
    assert_ne!(Config::default(), Config::wan());
}

/// Neither of the two crates may know the other, so each has the function; the text is one.
#[test]
fn the_crates_below_tell_an_error_with_its_sources_alike() {
    let missing = Identity::from_pem_files("no/ca.pem", "no/ada.pem", "no/ada.key").unwrap_err();
    let unreachable = JoinFailureReason::Unreachable(StreamFailure::Closed);
    let errors: [&(dyn Error + 'static); 3] = [&missing, &unreachable, &StreamFailure::Closed];
    for error in errors {
        assert_eq!(with_sources(error), swim_core::with_sources(error));
    }
    assert!(with_sources(&unreachable).len() > unreachable.to_string().len());
}
