use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use super::client::Client;
use super::server::Server;
use super::wire::{self, FromDaemon, GREETING, WireError};
use crate::engine::api::{Failure, NoteMark, Progress, Reply, Request, Voice};
use crate::engine::host::Call;
use crate::limits::{DAEMON_CONNECTIONS_MAX, DAEMON_FRAME_BYTES_MAX};

/// A daemon in this process: a socket, the engine's end of it, and a way to stop it.
struct Running {
    socket: PathBuf,
    calls: mpsc::Receiver<Call>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
    _home: TempDir,
}

fn start() -> Running {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("daemon.sock");
    let server = Server::bind(&socket).unwrap();
    let (sender, calls) = mpsc::channel(4);
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve(sender, async move {
        let _ = stopped.await;
    }));
    Running { socket, calls, stop, task, _home: home }
}

#[tokio::test]
async fn a_request_is_answered_after_its_progress() {
    let mut daemon = start();
    let client = Client::find(&daemon.socket).await.unwrap().unwrap();
    let engine = async {
        let call = daemon.calls.recv().await.unwrap();
        assert!(matches!(call.request, Request::Heard { number: 7 }));
        call.progress.send(Progress::Connecting).await.unwrap();
        call.progress.send(Progress::Reached(NoteMark::Heard)).await.unwrap();
        call.reply.send(Err(Failure::UnknownNote { number: 7 })).unwrap();
    };
    let mut seen = Vec::new();
    let mut progress = |news| seen.push(news);
    let request = Request::Heard { number: 7 };
    let (answer, ()) = tokio::join!(client.execute(&request, &mut progress), engine);
    assert_eq!(answer.unwrap().unwrap_err(), Failure::UnknownNote { number: 7 });
    assert_eq!(seen, [Progress::Connecting, Progress::Reached(NoteMark::Heard)]);
}

#[tokio::test]
async fn the_longest_note_fits_through() {
    let mut daemon = start();
    let client = Client::find(&daemon.socket).await.unwrap().unwrap();
    let voice = Voice {
        codec: 5,
        toc: 0,
        packets: vec![vec![1; 1_274]; 10_001],
        duration_millis: 600_000,
        loudness: 20,
        waveform: [0; 24],
        complete: true,
    };
    let engine = async {
        let call = daemon.calls.recv().await.unwrap();
        let Request::Send { voice, .. } = call.request else { panic!("a note was sent") };
        assert_eq!(voice.packets.len(), 10_001);
        call.reply.send(Ok(Reply::Stopping)).unwrap();
    };
    let request = Request::Send {
        to: "Amal".to_owned(),
        voice,
        lifetime_days: None,
        wait: crate::engine::api::Wait::Device,
        timeout_millis: 0,
    };
    let mut progress = |_| {};
    let (answer, ()) = tokio::join!(client.execute(&request, &mut progress), engine);
    assert!(matches!(answer.unwrap().unwrap(), Reply::Stopping));
}

#[tokio::test]
async fn the_socket_is_private_and_goes_with_the_daemon() {
    let daemon = start();
    let kind = std::fs::symlink_metadata(&daemon.socket).unwrap();
    assert!(kind.file_type().is_socket());
    assert_eq!(kind.permissions().mode() & 0o777, 0o600);
    daemon.stop.send(()).unwrap();
    daemon.task.await.unwrap();
    assert!(!daemon.socket.exists());
    assert!(Client::find(&daemon.socket).await.unwrap().is_none());
}

#[tokio::test]
async fn a_socket_left_over_is_nobody_and_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("daemon.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists(), "the file outlives its listener");
    assert!(Client::find(&socket).await.unwrap().is_none());
    Server::bind(&socket).unwrap();
}

#[tokio::test]
async fn a_daemon_of_another_version_is_recognised() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("daemon.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let other = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut newer = GREETING;
        newer[7] += 1;
        stream.write_all(&newer).await.unwrap();
        stream
    };
    let (found, _stream) = tokio::join!(Client::find(&socket), other);
    assert!(matches!(found, Err(WireError::Version)));
}

#[tokio::test]
async fn a_daemon_that_dies_over_a_request_is_told_as_gone() {
    let mut daemon = start();
    let client = Client::find(&daemon.socket).await.unwrap().unwrap();
    let engine = async { drop(daemon.calls.recv().await.unwrap()) };
    let mut progress = |_| {};
    let (answer, ()) = tokio::join!(client.execute(&Request::Status, &mut progress), engine);
    assert!(matches!(answer, Err(WireError::Gone)));
}

#[tokio::test]
async fn a_command_that_leaves_frees_its_place() {
    let mut daemon = start();
    let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
    wire::greet(&mut stream).await.unwrap();
    wire::write(&mut stream, &Request::Status).await.unwrap();
    let mut call = daemon.calls.recv().await.unwrap();
    drop(stream);
    call.reply.closed().await;
}

#[tokio::test]
async fn too_many_commands_at_once_are_told_so_and_the_others_go_on() {
    let mut daemon = start();
    let mut waiting = Vec::new();
    for _ in 0..DAEMON_CONNECTIONS_MAX {
        let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
        wire::greet(&mut stream).await.unwrap();
        waiting.push(stream);
    }
    let mut late = UnixStream::connect(&daemon.socket).await.unwrap();
    wire::greet(&mut late).await.unwrap();
    wire::write(&mut late, &Request::Status).await.unwrap();
    let answer: FromDaemon = wire::read(&mut late).await.unwrap();
    assert!(matches!(answer, FromDaemon::Done(Err(Failure::Busy))));

    wire::write(&mut waiting[0], &Request::Status).await.unwrap();
    daemon.calls.recv().await.unwrap().reply.send(Ok(Reply::Stopping)).unwrap();
    let answer: FromDaemon = wire::read(&mut waiting[0]).await.unwrap();
    assert!(matches!(answer, FromDaemon::Done(Ok(Reply::Stopping))));
}

#[tokio::test]
async fn bytes_that_are_no_request_end_the_connection_and_nothing_else() {
    let mut daemon = start();
    for wrong in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        [&GREETING[..], &[0xff; 64]].concat(),
        [&GREETING[..], &(DAEMON_FRAME_BYTES_MAX + 1).to_be_bytes()].concat(),
        [&GREETING[..], &[0, 0, 0, 2, 0xff, 0xff]].concat(),
    ] {
        let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
        stream.write_all(&wrong).await.unwrap();
        let mut rest = Vec::new();
        // The daemon may close before it has read everything, which the system tells as a reset.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty() || rest == GREETING, "nothing but the greeting is answered");
    }
    assert!(daemon.calls.try_recv().is_err(), "nothing reached the engine");
    assert!(Client::find(&daemon.socket).await.unwrap().is_some());
}
