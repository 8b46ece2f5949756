//! The readings as Prometheus takes them; the only door to prometheus-client.

use super::Readings;
use super::counts::Histogram;
use crate::duty::figures::Sums;
use crate::io::status::{LineState, PartState};
use crate::protocol::rtp::Party;
use crate::protocol::rtp::quality::Grade;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use serde::Serialize;
use std::fmt;

/// The whole exposition in the text format.
///
/// # Errors
/// None in practice: a string takes everything.
pub fn written(readings: Readings) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Sheet(readings)));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Sheet(Readings);

/// Labels, each of a known few values, and what is measured.
type Labelled<const N: usize, V> = ([(&'static str, String); N], V);

impl Collector for Sheet {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut pen = Pen(encoder);
        let readings = &self.0;
        line(&mut pen, readings)?;
        calls(&mut pen, readings)?;
        parts(&mut pen, readings)?;
        voices(&mut pen, readings)?;
        process(&mut pen, readings)
    }
}

/// The line and its signalling.
fn line(pen: &mut Pen<'_>, r: &Readings) -> Result<(), fmt::Error> {
    let registered = matches!(r.status.line, LineState::Registered { .. });
    let figures = &r.figures;
    pen.gauge("line_registered", "Whether the line is registered at the PBX", registered.into())?;
    if !r.status.numbers.is_empty() {
        let up = |state: &LineState| matches!(state, LineState::Registered { .. });
        let numbers = r.status.numbers.iter();
        let rows = numbers.map(|(of, state)| ([("number", of.clone())], f64::from(up(state))));
        pen.gauges("number_registered", "Whether another duty number is registered", rows)?;
    }
    let what = "Answers to our registrations, by result";
    pen.sums("registrations", what, "result", &figures.registrations)?;
    let kinds = || {
        figures.traffic.iter().map(|(kind, count)| {
            let direction = if kind.outward { "out" } else { "in" };
            let code = kind.code.map(|code| code.to_string());
            ([("direction", direction.to_owned()), ("method", kind.method.to_owned())], code, count)
        })
    };
    let requests = kinds().filter(|(_, code, _)| code.is_none()).map(|(labels, _, n)| (labels, n));
    pen.counters("sip_requests", "SIP requests, by method", requests)?;
    let responses = kinds().filter_map(|([direction, method], code, n)| {
        Some(([direction, method, ("code", code?)], n))
    });
    pen.counters("sip_responses", "SIP responses, by method and code", responses)?;
    let what = "SIP messages that were not served, by reason";
    pen.sums("sip_dropped", what, "reason", &figures.dropped)?;
    let what = "Connections of SIP that were refused or ended, by reason";
    pen.sums("sip_connections_ended", what, "reason", &figures.connections)?;
    let what = "What somebody who meddles would do, by what it is";
    pen.sums("suspicions", what, "what", &r.totals.suspicions)?;
    pen.gauge("sip_transactions", "Open SIP transactions", figures.transactions as f64)?;
    pen.gauge("sip_sessions", "Open SIP sessions", figures.sessions as f64)
}

fn calls(pen: &mut Pen<'_>, r: &Readings) -> Result<(), fmt::Error> {
    pen.gauge("calls_current", "Calls in progress, from and to anybody", r.figures.calls as f64)?;
    pen.gauge("channels_current", "Voice channels in use", r.figures.channels as f64)?;
    let what = "Calls that are over, by direction and disposition";
    let calls = r.totals.calls.iter().map(|((direction, how), n)| {
        ([("direction", (*direction).to_owned()), ("disposition", name(how))], *n)
    });
    pen.counters("calls", what, calls)?;
    let attempts = r.totals.attempts.iter().map(|(how, n)| ([("result", name(how))], *n));
    pen.counters("leader_calls", "Calls to leaders that are over, by result", attempts)?;
    let what = "Calls turned away before a phone rang, by reason";
    pen.sums("calls_refused", what, "reason", &r.figures.refused)?;
    let totals = &r.totals;
    let what = "Calls of the room that were not made, by reason";
    let refused = totals.not_placed.iter().map(|(why, n)| ([("reason", name(why))], *n));
    pen.counters("calls_out_refused", what, refused)?;
    pen.histogram(
        "invite_to_entry_seconds",
        "From an INVITE to its entry in the log",
        &totals.entered,
    )?;
    pen.histogram(
        "invite_to_ringing_seconds",
        "From an INVITE to the first phone rung",
        &totals.rung,
    )?;
    let Some(waiting) = &r.waiting else { return Ok(()) };
    pen.gauge("escalations_open", "Escalations nobody has acknowledged", waiting.open as f64)?;
    let age = waiting.oldest.map_or(0.0, |at| (r.now - at).as_seconds_f64().max(0.0));
    pen.gauge("escalation_oldest_age_seconds", "Age of the oldest of them; 0 without one", age)
}

/// The other parts of the daemon.
fn parts(pen: &mut Pen<'_>, r: &Readings) -> Result<(), fmt::Error> {
    let works = |part: &PartState| f64::from(*part == PartState::Ok);
    pen.gauge("recorder_up", "Whether calls are recorded", works(&r.status.recorder))?;
    pen.gauge("log_up", "Whether the log can be written", works(&r.status.log))?;
    pen.gauge("tape_backlog_bytes", "Voice that waits for the disk", r.backlog as f64)?;
    if let Some(free) = r.free {
        pen.gauge("recordings_free_bytes", "Free space where recordings are kept", free as f64)?;
    }
    if !r.status.self_tests.is_empty() {
        let tests = r.status.self_tests.iter();
        let rows = tests.map(|(of, good)| ([("number", of.clone())], f64::from(*good)));
        let what = "Whether the last self-test of a duty number was good";
        pen.gauges("self_test_good", what, rows)?;
    }
    let alarms = r.status.alarms.keys().map(|key| ([("alarm", (*key).to_owned())], 1.0));
    pen.gauges("alarm", "Alarms on the page now", alarms)
}

/// RTP by party: of channels that were closed, and how whoever is heard now is heard.
fn voices(pen: &mut Pen<'_>, r: &Readings) -> Result<(), fmt::Error> {
    let voices = &r.totals.voices;
    let packets = voices.iter().flat_map(|(of, voice)| {
        let count = |(fate, n): (&&'static str, &u64)| {
            ([("party", party(*of)), ("fate", (*fate).to_owned())], *n)
        };
        voice.packets.iter().map(count)
    });
    pen.counters("rtp_packets", "RTP packets of parties, by what became of them", packets)?;
    let elsewhere = r.totals.elsewhere.iter().map(|((of, taken), n)| {
        ([("party", party(*of)), ("taken", if *taken { "yes" } else { "no" }.to_owned())], *n)
    });
    let what =
        "Voice from another place than a party named, by whether it was taken up as the party's";
    pen.counters("rtp_elsewhere", what, elsewhere)?;
    let jitter = voices.iter().map(|(of, voice)| ([("party", party(*of))], &voice.jitter));
    pen.histograms("rtp_jitter_seconds", "Interarrival jitter at the end of a leg", jitter)?;
    let mos = voices.iter().map(|(of, voice)| ([("party", party(*of))], &voice.mos));
    pen.histograms("rtp_mos", "Mean MOS of a leg by ITU-T G.107", mos)?;
    let grades = [(Grade::Good, "good"), (Grade::Fair, "fair"), (Grade::Poor, "poor")];
    let heard = |grade| {
        r.voices.values().filter(|q| q.mos.is_some_and(|m| m.latest.grade() == grade)).count()
    };
    let heard = grades.map(|(grade, name)| ([("grade", name.to_owned())], heard(grade) as f64));
    pen.gauges("voices_current", "Parties heard now, by how well", heard.into_iter())
}

fn process(pen: &mut Pen<'_>, r: &Readings) -> Result<(), fmt::Error> {
    let p = &r.process;
    pen.bare_gauge("process_resident_memory_bytes", "Memory in use", p.resident as f64)?;
    pen.bare_gauge("process_virtual_memory_bytes", "Address space", p.virtual_ as f64)?;
    pen.bare_gauge("process_open_fds", "Open files and sockets", p.files as f64)?;
    pen.bare_gauge("process_threads", "Threads", p.threads as f64)?;
    let seconds = p.ticks as f64 / 100.0;
    let mut metric = pen.0.encode_descriptor(
        "process_cpu_seconds",
        "Processor time",
        None,
        MetricType::Counter,
    )?;
    metric.encode_counter::<NoLabelSet, _, f64>(&seconds, None)
}

/// As serde has it.
fn name(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => "other".to_owned(),
    }
}

fn party(party: Party) -> String {
    format!("{party:?}").to_lowercase()
}

struct Pen<'a>(DescriptorEncoder<'a>);

impl Pen<'_> {
    fn begin<R>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        write: impl FnOnce(MetricEncoder<'_>) -> Result<R, fmt::Error>,
    ) -> Result<R, fmt::Error> {
        write(self.0.encode_descriptor(&format!("dutyline_{name}"), help, None, kind)?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), fmt::Error> {
        self.begin(name, help, MetricType::Gauge, |mut metric| metric.encode_gauge(&value))
    }

    /// Under a name that every program gives it.
    fn bare_gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), fmt::Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl Iterator<Item = Labelled<N, f64>>,
    ) -> Result<(), fmt::Error> {
        self.begin(name, help, MetricType::Gauge, |mut metric| {
            for (labels, value) in rows {
                metric.encode_family(&labels)?.encode_gauge(&value)?;
            }
            Ok(())
        })
    }

    fn sums(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        sums: &Sums,
    ) -> Result<(), fmt::Error> {
        let rows = sums.iter().map(|(of, count)| ([(label, (*of).to_owned())], *count));
        self.counters(name, help, rows)
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl Iterator<Item = Labelled<N, u64>>,
    ) -> Result<(), fmt::Error> {
        self.begin(name, help, MetricType::Counter, |mut metric| {
            for (labels, count) in rows {
                metric
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, _, f64>(&count, None)?;
            }
            Ok(())
        })
    }

    fn histogram(&mut self, name: &str, help: &str, of: &Histogram) -> Result<(), fmt::Error> {
        self.begin(name, help, MetricType::Histogram, |mut metric| {
            metric.encode_histogram::<NoLabelSet>(of.sum, of.count, &of.buckets, None)
        })
    }

    fn histograms<'h, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl Iterator<Item = Labelled<N, &'h Histogram>>,
    ) -> Result<(), fmt::Error> {
        self.begin(name, help, MetricType::Histogram, |mut metric| {
            for (labels, of) in rows {
                let mut metric = metric.encode_family(&labels)?;
                metric.encode_histogram::<NoLabelSet>(of.sum, of.count, &of.buckets, None)?;
            }
            Ok(())
        })
    }
}
