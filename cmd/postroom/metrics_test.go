package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/mail"
)

// watchedProgram opens a program in a folder of its own, and what watches it.
func watchedProgram(t *testing.T) (*program, *monitor) {
	t.Helper()
	conf := defaults()
	conf.Data, conf.LocalMode = t.TempDir(), true
	p, err := openProgram(t.Context(), conf, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	})
	m := p.watched()
	for _, service := range []string{"smtp", "submission", "submissions"} {
		m.replying(service)(250)
	}
	for _, service := range []string{"smtp", "submission", "submissions", "pop3", "pop3s", "http", "https", "web"} {
		m.watch(port{service: service})
	}
	m.tried(time.Second)
	return p, m
}

// scrape reads the metrics as Prometheus does.
func (m *monitor) scrape(t *testing.T) (text []byte, families map[string]*dto.MetricFamily) {
	t.Helper()
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return w.Body.Bytes(), families
}

// metricValue returns the value of a metric with a label of some value; of one without
// labels, if that is empty.
func metricValue(t *testing.T, families map[string]*dto.MetricFamily, name, label string) float64 {
	t.Helper()
	for _, m := range families[name].GetMetric() {
		ok := label == "" && len(m.Label) == 0
		for _, l := range m.Label {
			ok = ok || l.GetValue() == label
		}
		if ok {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	t.Errorf("there is no %s %s", name, label)
	return 0
}

func series(families map[string]*dto.MetricFamily) (n int) {
	for _, f := range families {
		n += len(f.Metric)
	}
	return n
}

// queueFor takes messages for so many domains, each for a hundred of them.
func queueFor(t *testing.T, p *program, domains int) {
	t.Helper()
	for n := 0; n < domains; n += 100 {
		a := store.Acceptance{
			ID: p.store.NewMessageID(), At: time.Now().Add(-time.Hour), Envelope: mail.Envelope{Sender: mail.Address{Local: "a", Domain: "far.test"}},
			Body: strings.NewReader("x\r\n"), Size: 3,
		}
		for i := n; i < min(n+100, domains); i++ {
			to := mail.Address{Local: "a", Domain: fmt.Sprintf("domain%d.test", i)}
			a.Outbound = append(a.Outbound, store.Outbound{Sender: a.Envelope.Sender, Recipient: mail.Recipient{Address: to}})
		}
		if err := p.store.Accept(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMetricsFollowTheConventions(t *testing.T) {
	_, m := watchedProgram(t)
	text, _ := m.scrape(t)
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestMetricsCount(t *testing.T) {
	p, m := watchedProgram(t)
	queueFor(t, p, 250)
	if err := p.store.PauseDomain(t.Context(), "domain7.test"); err != nil {
		t.Fatal(err)
	}
	claimed, err := p.store.ClaimLane(t.Context(), store.LaneClaim{Lane: store.Lane{Domain: "domain9.test", Origin: "far.test"}, Now: time.Now(), Works: 1, PerWork: 1})
	if err != nil || len(claimed.Items) != 1 {
		t.Fatal(claimed, err)
	}
	item := claimed.Items[0]
	err = m.settling(p.store).Settle(t.Context(), store.Settlement{At: time.Now(), Outcomes: []store.Outcome{{
		Item: item.ID, Message: item.Message, Recipient: item.Recipient.Address, Result: store.Sent,
		Events: []store.Event{{Time: time.Now(), Kind: store.Attempt, Outcome: "deferred"}, {Time: time.Now(), Kind: store.Attempt, Outcome: "sent"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	_, families := m.scrape(t)
	for _, want := range []struct {
		name, label string
		value       float64
	}{
		{"postroom_messages_total", "received", 3},
		{"postroom_messages_total", "sent", 1},
		{"postroom_messages_total", "delivered", 0},
		{"postroom_queue_recipients", "waiting", 248},
		{"postroom_queue_recipients", "held", 1},
		{"postroom_queue_recipients", "sending", 0},
		{"postroom_deliveries_total", "sent", 1},
		{"postroom_delivery_attempts_total", "deferred", 1},
		{"postroom_delivery_attempts_total", "sent", 1},
		{"postroom_delivery_attempt_duration_seconds", "", 1},
		{"postroom_store_ready", "", 1},
		{"postroom_concerns", "", 0},
		{"postroom_destinations_failing", "", 0},
	} {
		if got := metricValue(t, families, want.name, want.label); got != want.value {
			t.Errorf("%s %s is %v, want %v", want.name, want.label, got, want.value)
		}
	}
	for _, name := range []string{
		"postroom_store_database_size_bytes", "postroom_disk_free_bytes", "postroom_disk_size_bytes", "postroom_store_commit_changes",
		"postroom_store_commit_duration_seconds", "postroom_queue_oldest_age_seconds", "postroom_build_info",
	} {
		if f := families[name]; len(f.GetMetric()) != 1 {
			t.Errorf("there are %d of %s", len(f.GetMetric()), name)
		}
	}
	if age := metricValue(t, families, "postroom_queue_oldest_age_seconds", ""); age < 3600 || age > 7200 {
		t.Errorf("the oldest is %v s old, want an hour", age)
	}
	if n := metricValue(t, families, "postroom_store_commit_changes", ""); n < 5 {
		t.Errorf("%v commits were seen", n)
	}
}

// However much is in the queue, there aren't more series.
func TestMetricsDontGrow(t *testing.T) {
	p, m := watchedProgram(t)
	_, before := m.scrape(t)
	queueFor(t, p, 10_000)
	_, after := m.scrape(t)
	if a, b := series(before), series(after); a != b || b > 400 {
		t.Errorf("%d series before, %d with mail for 10000 domains; at most 400 are fine", a, b)
	}
	if got := metricValue(t, after, "postroom_queue_length", ""); got != 10_000 {
		t.Errorf("%v recipients are in the queue", got)
	}
	var list []admin.Certificate
	for i := range 10_000 {
		list = append(list, admin.Certificate{Names: []string{fmt.Sprintf("mta-sts.domain%d.test", i)}, Source: "acme", NotAfter: time.Now().Add(time.Duration(10_000-i) * time.Hour)})
	}
	m.registry.MustRegister(newCertificateCollector(func() []admin.Certificate { return list }))
	_, families := m.scrape(t)
	certs := families["postroom_certificate_expires_seconds"].GetMetric()
	if len(certs) != mostCertificates {
		t.Errorf("%d certificates are told of", len(certs))
	}
	for _, c := range certs {
		if until := time.Until(time.Unix(int64(c.GetGauge().GetValue()), 0)); until > (mostCertificates+1)*time.Hour {
			t.Errorf("one that ends in %v is among the first to end", until)
		}
	}
}

// What is wrong with the store is told by /readyz, and by the metrics too, which go
// on. That a disk is full isn't: mail can still be collected and sent.
func TestReadiness(t *testing.T) {
	for name, test := range map[string]struct {
		err   error
		code  int
		ready string
	}{
		"it is well":   {nil, http.StatusOK, "postroom_store_ready 1\n"},
		"it is broken": {store.ErrClosed, http.StatusServiceUnavailable, "postroom_store_ready 0\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := watchedProgram(t)
			m := newMonitor(troubledLedger{p.store, test.err})
			get := func(path string) *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				m.handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				return w
			}
			if w := get("/readyz"); w.Code != test.code {
				t.Errorf("/readyz is answered %d", w.Code)
			}
			if w := get("/healthz"); w.Code != http.StatusOK {
				t.Errorf("/healthz is answered %d", w.Code)
			}
			if w := get("/metrics"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), test.ready) {
				t.Errorf("/metrics is answered %d: %s", w.Code, w.Body)
			}
		})
	}
}

// A troubledLedger is a store that takes no changes, and can't count.
type troubledLedger struct {
	ledger
	err error
}

func (l troubledLedger) Ready() error { return l.err }

// The dashboard asks for nothing that isn't there.
func TestDashboard(t *testing.T) {
	_, m := watchedProgram(t)
	m.registry.MustRegister(newCertificateCollector(func() []admin.Certificate {
		return []admin.Certificate{{Names: []string{"mail.example.org"}, Source: "acme", NotAfter: time.Now()}}
	}))
	_, families := m.scrape(t)
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequest("GET", "/grafana.json", nil))
	var board struct {
		Title  string
		Panels []struct {
			Title      string
			Datasource struct{ UID string }
			Targets    []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Type, Query string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &board); err != nil || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%v, %s", err, w.Header())
	}
	if v := board.Templating.List; len(v) != 3 || v[0].Name != "datasource" || v[0].Type != "datasource" || v[0].Query != "prometheus" {
		t.Errorf("its variables are %+v", v)
	}
	names, asked := regexp.MustCompile(`\b(?:postroom|process|go)_\w+`), make(map[string]bool)
	for _, p := range board.Panels {
		if p.Title == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("the panel %+v", p)
		}
		for _, target := range p.Targets {
			found := names.FindAllString(target.Expr, -1)
			if len(found) == 0 {
				t.Errorf("%s asks for nothing: %s", p.Title, target.Expr)
			}
			for _, name := range found {
				asked[name] = true
				if family := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count"); families[name] == nil && families[family] == nil {
					t.Errorf("%s asks for %s, which there isn't", p.Title, name)
				}
			}
		}
	}
	if len(board.Panels) < 12 || len(asked) < 15 {
		t.Errorf("%d panels ask for %d metrics", len(board.Panels), len(asked))
	}
}
