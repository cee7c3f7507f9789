// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"encoding/pem"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

func certificate(t *testing.T) []byte {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// fullSink is a spec that has every field.
func fullSink(t *testing.T) v1alpha1.NotificationSinkSpec {
	t.Helper()
	return v1alpha1.NotificationSinkSpec{
		URL:        "https://hooks.example.com:8443/stagegate?team=a",
		Format:     v1alpha1.NotificationFormatCloudEvents,
		HMACSecret: &v1alpha1.SecretKeyReference{Name: "chatops", Key: "hmac"},
		Auth:       &v1alpha1.NotificationAuth{BearerTokenSecret: &v1alpha1.SecretKeyReference{Name: "chatops", Key: "token"}},
		CABundle:   certificate(t),
		Types:      []string{"run.*"},
		Match:      &v1alpha1.PolicyMatch{NamespaceSelector: &metav1.LabelSelector{}},
		Suspend:    true,
	}
}

func TestSpecsOfSinks(t *testing.T) {
	type spec = v1alpha1.NotificationSinkSpec
	const password = "hunter2"
	url := func(raw string) func(*spec) { return func(s *spec) { s.URL = raw } }
	fromSecret := func(name, key string) func(*spec) {
		return func(s *spec) { s.URL, s.URLSecret = "", &v1alpha1.SecretKeyReference{Name: name, Key: key} }
	}
	const https = `spec.url: Invalid value: "": the URL must begin with https://: whoever is on the way would read and change notifications`
	for _, tc := range []struct {
		name string
		edit func(*spec)
		want []string
	}{
		{"every field", func(*spec) {}, nil},
		{"a URL from a Secret", fromSecret("chatops", "url"), nil},
		{"a URL alone", func(s *spec) { *s = spec{URL: "https://hooks.example.com"} }, nil},
		{"an address for a name", url("https://[2001:db8::1]:8443/"), nil},
		{"nowhere to go", url(""), []string{
			"spec.url: Required value: say where notifications go, or name the Secret that has it in urlSecret",
		}},
		{"two places to go", func(s *spec) { s.URLSecret = &v1alpha1.SecretKeyReference{Name: "chatops", Key: "url"} }, []string{
			"spec.urlSecret: Forbidden: set either url or urlSecret",
		}},
		{"no TLS", url("http://hooks.example.com/"), []string{https}},
		{"another scheme", url("file:///etc/shadow"), []string{https}},
		{"no scheme", url("hooks.example.com/stagegate"), []string{https}},
		{"no host", url("https:///stagegate"), []string{`spec.url: Invalid value: "": the URL must name a host, as in https://host/path`}},
		{"a port and no host", url("https://:8443/"), []string{`spec.url: Invalid value: "": the URL must name a host, as in https://host/path`}},
		{"a user", url("https://me:" + password + "@hooks.example.com/"), []string{
			`spec.url: Invalid value: "": the URL must have no user or password: put a token into auth.bearerTokenSecret`,
		}},
		{"a fragment", url("https://hooks.example.com/#" + password), []string{`spec.url: Invalid value: "": the URL must have no fragment: it is not sent`}},
		{"what is no URL", url("https://hooks.example.com/" + password + "\x00"), []string{
			`spec.url: Invalid value: "": the URL cannot be read: write it as https://host/path`,
		}},
		{"as long a URL as there may be", url("https://hooks.example.com/" + strings.Repeat("x", 2048-26)), nil},
		{"a longer URL", url("https://hooks.example.com/" + strings.Repeat("x", 2048-25)), []string{
			`spec.url: Invalid value: "": the URL must have at most 2048 characters`,
		}},
		{"the kubeconfig of a member for a URL", fromSecret("member-member1", "kubeconfig"), []string{
			"spec.urlSecret.name: Forbidden: the Secret is that of a member: make one for the sink",
		}},
		{"the kubeconfig of a member for a key", func(s *spec) { s.HMACSecret.Name = "member-member1" }, []string{
			"spec.hmacSecret.name: Forbidden: the Secret is that of a member: make one for the sink",
		}},
		{"the kubeconfig of a member for a token", func(s *spec) { s.Auth.BearerTokenSecret.Name = "member-member1" }, []string{
			"spec.auth.bearerTokenSecret.name: Forbidden: the Secret is that of a member: make one for the sink",
		}},
		{"auth without anything, which its type refuses", func(s *spec) { s.Auth = &v1alpha1.NotificationAuth{} }, nil},
		{"a Secret of another namespace", func(s *spec) { s.HMACSecret.Name = "kube-system/chatops" }, []string{
			`spec.hmacSecret.name: Invalid value: "kube-system/chatops": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric ` +
				`characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is ` +
				`'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
		}},
		{"no key", func(s *spec) { s.HMACSecret.Key = ".." }, []string{
			`spec.hmacSecret.key: Invalid value: "..": must not be '..'`,
		}},
		{"a bundle without a certificate", func(s *spec) { s.CABundle = []byte(password) }, []string{
			`spec.caBundle: Invalid value: "": must have a certificate in PEM`,
		}},
		{"a large bundle", func(s *spec) { s.CABundle = append(s.CABundle, make([]byte, 64<<10)...) }, []string{
			"spec.caBundle: Too long: may not be more than 65536 bytes",
		}},
		{"a long type", func(s *spec) { s.Types = []string{"run.*", strings.Repeat("x", 65)} }, []string{
			"spec.types[1]: Too long: may not be more than 64 bytes",
		}},
		{"namespaces that cannot be selected", func(s *spec) { s.Match.NamespaceSelector = selector("team", "Is") }, []string{
			`spec.match.namespaceSelector.matchExpressions[0].operator: Invalid value: "Is": the selector of namespaces is invalid: not a valid selector operator`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sink := &v1alpha1.NotificationSink{Spec: fullSink(t)}
			tc.edit(&sink.Spec)
			errs := ValidateNotificationSink(sink)
			expect(t, errs, tc.want...)
			for _, err := range errs {
				if strings.Contains(err.Error(), password) {
					t.Errorf("the message repeats what may be a credential: %v", err)
				}
			}
		})
	}
}

func TestStatusOfSinks(t *testing.T) {
	sink := &v1alpha1.NotificationSink{}
	expect(t, ValidateNotificationSinkStatusUpdate(sink, sink))
	sink.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "Perhaps", Reason: "Ready", LastTransitionTime: metav1.Now()}}
	expect(t, ValidateNotificationSinkStatusUpdate(sink, sink),
		`status.conditions[0].status: Unsupported value: "Perhaps": supported values: "False", "True", "Unknown"`)
}
