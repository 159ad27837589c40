//! `zajil-bench`: how long a note or a word takes over bad links. Exit status 0, and 1 if one did not come through in 300 s.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use zajil_bench::doors::{doors_markdown, measure_doors};
use zajil_bench::{
    Begun, Case, Compared, NOTE_BYTES, Peer, Report, Start, Way, cases, compare, markdown, measure, measure_peer,
    peers_markdown, svg,
};

/// Transfers of each kind in a quick run.
const QUICK_SEEDS: u64 = 11;

/// How long a note takes over bad links: relay and engine in virtual time, beside what the link could do at best.
#[derive(Debug, Parser)]
#[command(name = "zajil-bench")]
struct Arguments {
    /// Which links, by the names of linkem's profiles; `siege-time` has its bursts in time. With `-speech` at the end a quarter of a
    /// minute of speech is sent in place of 30,000 bytes; with `-hybrid` or `-classical` that key exchange is offered, else that of the
    /// link's class.
    #[arg(long, value_delimiter = ',', value_parser = known, default_value = "3g,edge,gprs,vsat,siege,siege-time,windows")]
    links: Vec<Link>,
    /// Transfers of each kind: 41 for a median, 200 for the slowest of twenty.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    seeds: u64,
    /// Eleven transfers of each kind: figures by which to see what changed, not how fast it is.
    #[arg(long, conflicts_with_all = ["seeds", "write"])]
    quick: bool,
    /// Keep each line in this file as soon as it is measured, and go on from there after an interruption.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["real", "peers"])]
    begun: Option<PathBuf>,
    /// The first seed; the others follow it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Transfers played at once.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Print JSON in place of the table.
    #[arg(long)]
    json: bool,
    /// Only these: `send`, `receive`, `word`.
    #[arg(long, value_delimiter = ',', value_parser = way, default_value = "send,receive,word")]
    ways: Vec<Way>,
    /// Play cold notes between real sockets too, over links that `linkem` makes, one at a time, and compare: as root.
    #[arg(long, conflicts_with = "write")]
    real: bool,
    /// Measure others in place of Zajil: HTTPS (nginx, curl) and MQTT (mosquitto), between real sockets: as root.
    #[arg(long, conflicts_with = "real")]
    peers: bool,
    /// Measure in place of links how long a relay takes at doors that must look alike, whatever is behind them: this many times at each.
    #[arg(long, value_name = "SAMPLES", conflicts_with_all = ["real", "peers", "begun", "write"])]
    doors: Option<usize>,
    /// The program `linkem`; else the one beside this.
    #[arg(long, value_name = "FILE")]
    linkem: Option<PathBuf>,
    /// Write `links.json`, `links.md` and `links.svg` into this folder too; of others `peers.json` and `peers.md`.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

/// A link that was named, with its cases.
#[derive(Debug, Clone)]
struct Link([Case; 5]);

fn known(name: &str) -> Result<Link, String> {
    cases(name).map(Link).ok_or_else(|| format!("there is no link \"{name}\"; see `linkem profiles`"))
}

fn way(name: &str) -> Result<Way, String> {
    match name {
        "send" => Ok(Way::Send),
        "receive" => Ok(Way::Receive),
        "word" => Ok(Way::Word),
        _ => Err("a way is \"send\", \"receive\" or \"word\"".to_owned()),
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        arguments.seeds = QUICK_SEEDS;
    }
    if let Some(samples) = arguments.doors {
        return measure_all_doors(samples, &arguments);
    }
    if arguments.real {
        return compare_all(&arguments);
    }
    if arguments.peers {
        return measure_peers(&arguments);
    }
    match measure_all(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("zajil-bench: what was measured could not be written: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures one kind after the other; returns whether every transfer came through.
fn measure_all(arguments: &Arguments) -> std::io::Result<bool> {
    let mut begun = Begun::at(arguments.begun.as_deref(), arguments.seed, arguments.seeds)?;
    let mut report = Report { note_bytes: NOTE_BYTES, first_seed: arguments.seed, lines: Vec::new() };
    let cases = arguments.links.iter().flat_map(|link| &link.0);
    for case in cases.filter(|case| arguments.ways.contains(&case.way)) {
        let before = begun.line(case).cloned();
        let line = match before {
            Some(line) => line,
            None => {
                let line = measure(case, arguments.seed, arguments.seeds, usize::from(arguments.jobs));
                begun.keep(line.clone())?;
                line
            }
        };
        eprintln!(
            "{} {} {}: median {:.2} s, worst {:.2} s (seed {})",
            line.link, line.way, line.start, line.median, line.worst, line.worst_seed
        );
        report.lines.push(line);
    }
    told(arguments, &report)?;
    begun.end()?;
    Ok(report.lines.iter().all(|line| line.failed == 0))
}

/// Measures at doors; returns whether that could be done, whatever came of it.
fn measure_all_doors(samples: usize, arguments: &Arguments) -> ExitCode {
    match measure_doors(samples, arguments.seed) {
        Ok(lines) => {
            let json = serde_json::to_string_pretty(&lines).unwrap_or_default();
            let table = doors_markdown(&lines);
            println!("{}", if arguments.json { &json } else { table.trim_end() });
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("zajil-bench: there is no store to measure: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns which `linkem` to start.
fn linkem(arguments: &Arguments) -> PathBuf {
    let beside = || std::env::current_exe().ok().map(|own| own.with_file_name("linkem"));
    arguments.linkem.clone().or_else(beside).unwrap_or_else(|| PathBuf::from("linkem"))
}

/// Measures what others take, one kind after the other. Exit status 0 however many of theirs fail.
fn measure_peers(arguments: &Arguments) -> ExitCode {
    let linkem = linkem(arguments);
    let mut lines = Vec::new();
    let cases = arguments.links.iter().flat_map(|link| &link.0).filter(|case| arguments.ways.contains(&case.way));
    // They remember nothing: what is cold for us is all they have.
    for case in cases.filter(|case| case.start == Start::Cold && case.way != Way::Word) {
        for peer in [Peer::Https, Peer::Mqtt] {
            let measured =
                measure_peer(case, peer, &linkem, arguments.seed, arguments.seeds, usize::from(arguments.jobs));
            match measured {
                Ok(line) => {
                    eprintln!(
                        "{} {} {peer:?}: median {:.2} s, worst {:.2} s, {} failed; linkem up to {:.1} ms late",
                        line.link, line.way, line.median, line.worst, line.failed, line.late_millis
                    );
                    lines.push(line);
                }
                Err(error) => {
                    eprintln!("zajil-bench: {peer:?} cannot be measured over {}: {error}", linkem.display());
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    let json = serde_json::to_string_pretty(&lines).unwrap_or_default();
    let table = peers_markdown(&lines);
    let written = arguments.write.as_ref().map_or(Ok(()), |folder| {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("peers.json"), format!("{json}\n"))?;
        std::fs::write(folder.join("peers.md"), &table)
    });
    println!("{}", if arguments.json { &json } else { table.trim_end() });
    if let Err(error) = written {
        eprintln!("zajil-bench: what was measured could not be written: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Compares one kind after the other, and tells of each as soon as it is measured.
fn compare_all(arguments: &Arguments) -> ExitCode {
    let linkem = linkem(arguments);
    let mut all_came = true;
    let cases = arguments.links.iter().flat_map(|link| &link.0);
    for case in cases.filter(|case| arguments.ways.contains(&case.way) && case.is_compared()) {
        match compare(case, &linkem, arguments.seed, arguments.seeds, usize::from(arguments.jobs)) {
            Ok(compared) => {
                all_came &= compared.failed == 0;
                let Compared { link, way, transfers, failed, simulated, real, ratio } = &compared;
                if arguments.json {
                    println!("{}", serde_json::to_string(&compared).unwrap_or_default());
                } else {
                    println!(
                        "{link} {way}: {simulated:.3} s in virtual time, {real:.3} s between sockets, {ratio:.3} × ({transfers} each, {failed} failed)"
                    );
                }
            }
            Err(error) => {
                eprintln!("zajil-bench: {} cannot be had: {error}", linkem.display());
                return ExitCode::FAILURE;
            }
        }
    }
    if all_came { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told(arguments: &Arguments, report: &Report) -> std::io::Result<()> {
    let (json, table) = (format!("{}\n", serde_json::to_string_pretty(report)?), markdown(report));
    if let Some(folder) = &arguments.write {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("links.json"), &json)?;
        std::fs::write(folder.join("links.md"), &table)?;
        std::fs::write(folder.join("links.svg"), svg(report).map_err(std::io::Error::other)?)?;
    }
    std::io::stdout().write_all(if arguments.json { &json } else { &table }.as_bytes())
}
