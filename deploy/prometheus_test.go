package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// prometheusAPI is the base URL of a Prometheus.
type prometheusAPI string

// get reads a page, with a token if it wants one. Anything but 200 is an error.
func get(url, token string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		return body, fmt.Errorf("%s: %s: %.300s", url, response.Status, body)
	}
	return body, err
}

func (p prometheusAPI) ask(path string, data any) error {
	body, err := get(string(p)+path, "")
	if err != nil {
		return err
	}
	return json.Unmarshal(body, &struct{ Data any }{data})
}

// up wants so many targets of each job, all of them scraped.
func (p prometheusAPI) up(want map[string]int) error {
	var data struct {
		ActiveTargets []struct {
			Labels            map[string]string
			Health, LastError string
		}
	}
	if err := p.ask("/api/v1/targets", &data); err != nil {
		return err
	}
	got := map[string]int{}
	for _, target := range data.ActiveTargets {
		if target.Health != "up" {
			return fmt.Errorf("%v is %s: %s", target.Labels, target.Health, target.LastError)
		}
		got[target.Labels["job"]]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("targets %v, want %v", got, want)
	}
	return nil
}

// rules wants every rule to have been evaluated, without an error.
func (p prometheusAPI) rules() error {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.ask("/api/v1/rules", &data); err != nil {
		return err
	}
	var errs []error
	n := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" {
				errs = append(errs, fmt.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError))
			}
		}
	}
	if n < 30 {
		errs = append(errs, fmt.Errorf("%d rules are loaded", n))
	}
	return errors.Join(errs...)
}

// answers wants every query to return something.
func (p prometheusAPI) answers(queries []string) error {
	var errs []error
	for _, query := range queries {
		var data struct{ Result []any }
		if err := p.ask("/api/v1/query?"+url.Values{"query": {query}}.Encode(), &data); err != nil {
			errs = append(errs, err)
		} else if len(data.Result) == 0 {
			errs = append(errs, fmt.Errorf("no data: %s", query))
		}
	}
	return errors.Join(errs...)
}

// alerts are those that are pending or fire, by name.
func (p prometheusAPI) alerts() (map[string]string, error) {
	var data struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	if err := p.ask("/api/v1/alerts", &data); err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, a := range data.Alerts {
		states[a.Labels["alertname"]] = a.State
	}
	return states, nil
}

// dashboardQueries are those of the Grafana dashboard's panels, as Grafana asks them with everything selected.
func dashboardQueries(t *testing.T) []string {
	var file struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(text(t, "grafana/dashboards/cozeq.json")), &file); err != nil {
		t.Fatal(err)
	}
	selected := strings.NewReplacer("$__rate_interval", "1m", "$queue", ".*", "$instance", ".*")
	var queries []string
	for _, panel := range file.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, selected.Replace(target.Expr))
		}
	}
	if len(queries) < 40 {
		t.Fatalf("%d queries", len(queries))
	}
	return queries
}
