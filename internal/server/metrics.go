package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tallystick/commands"
	"tallystick/events"
)

// metrics is what the server counts. It belongs to one server: there is no registry besides its own.
type metrics struct {
	registry *prometheus.Registry
	groups   prometheus.Histogram
	rejected *prometheus.CounterVec
	due      prometheus.Gauge
	synced   prometheus.Histogram
	clock    func() time.Time
}

// newMetrics registers everything, with gauges that ask s when they are read. Nothing of it enters Pebble,
// so that a failed disk can still be reported (D15).
func newMetrics(s *Server, clock func() time.Time) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), clock: clock}
	m.groups = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tally_group_records", Help: "Records written to the log together.",
		Buckets: prometheus.ExponentialBuckets(1, 4, 8),
	})
	m.rejected = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tally_rejections_total", Help: "Commands refused, by code: by the rules, and before by whoever took them in.",
	}, []string{"code"})
	m.due = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tally_oldest_due_action_seconds", Help: "How long ago the oldest due action of real time was due; negative while it is ahead, 0 if there is none.",
	})
	m.synced = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tally_fsync_seconds", Help: "How long the disk was waited for, by batches of groups.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 14),
	})
	m.registry.MustRegister(m.groups, m.rejected, m.due, m.synced)
	gauge := func(name, help string, f func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	gauge("tally_queue_requests", "Requests that wait for the sequencer or for the disk.", func() float64 { return float64(s.Sequencer.Queued()) })
	gauge("tally_sequence", "The last sequence decided.", func() float64 { return float64(s.Sequencer.Applied()) })
	gauge("tally_durable_sequence", "The last sequence on disk.", func() float64 { return float64(s.Log.Durable()) })
	gauge("tally_failed", "1 once the ledger has failed and must be restarted.", func() float64 {
		if s.Err() != nil {
			return 1
		}
		return 0
	})
	lag := func(seq events.Seq) float64 { return float64(s.Log.Durable()) - float64(min(seq, s.Log.Durable())) }
	gauge("tally_projector_lag_records", "Durable records that the views do not hold yet.", func() float64 { return lag(s.viewed()) })
	gauge("tally_publisher_lag_records", "Durable records that the stream does not hold yet.", func() float64 { return lag(s.published()) })
	return m
}

// Group implements [commands.Observer].
func (m *metrics) Group(records int) { m.groups.Observe(float64(records)) }

// Rejected implements [commands.Observer].
func (m *metrics) Rejected(code commands.Code) { m.rejected.WithLabelValues(string(code)).Inc() }

// Due implements [commands.Observer].
func (m *metrics) Due(oldest events.Time) {
	if oldest == 0 {
		m.due.Set(0)
		return
	}
	m.due.Set(m.clock().Sub(oldest.Std()).Seconds())
}
