// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"
)

var start = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// tokenFor is a token that is valid from one time until another.
func tokenFor(from time.Time, life time.Duration) string {
	claims := fmt.Sprintf(`{"iat":%d,"exp":%d}`, from.Unix(), from.Add(life).Unix())
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".sig"
}

// tokens is a member with the Secret, and a hub that gives tokens of a life.
type tokens struct {
	t           *testing.T
	clock       *clocktesting.FakeClock
	member      *kubefake.Clientset
	hub         *kubefake.Clientset
	credentials *Credentials
	// asked has the life that each request wants.
	asked []time.Duration
	fails error
}

func newTokens(t *testing.T, token string, life time.Duration) *tokens {
	f := &tokens{t: t, clock: clocktesting.NewFakeClock(start), hub: kubefake.NewClientset()}
	f.member = kubefake.NewClientset(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "stagegate-system", Name: "stagegate-hub"},
		Data:       map[string][]byte{ServerKey: []byte("https://hub.example"), AuthorityKey: []byte("ca"), TokenKey: []byte(token)},
	})
	f.hub.PrependReactor("create", "serviceaccounts", func(action clienttesting.Action) (bool, runtime.Object, error) {
		create := action.(clienttesting.CreateActionImpl)
		if create.GetSubresource() != "token" || create.GetNamespace() != "fleet-member-paris" || create.Name != Account {
			t.Errorf("asked for %s of %s/%s", create.GetSubresource(), create.GetNamespace(), create.Name)
		}
		request := create.GetObject().(*authenticationv1.TokenRequest)
		f.asked = append(f.asked, time.Duration(*request.Spec.ExpirationSeconds)*time.Second)
		if f.fails != nil {
			return true, nil, f.fails
		}
		return true, &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{Token: tokenFor(f.clock.Now(), life)}}, nil
	})
	f.credentials = NewCredentials(f.member, "stagegate-system", "stagegate-hub", "paris", f.clock)
	return f
}

func (f *tokens) renew() error {
	f.t.Helper()
	wait, err := f.credentials.renew(f.t.Context(), f.hub)
	if wait <= 0 || wait > tokenLook {
		f.t.Errorf("looks again after %s", wait)
	}
	return err
}

func (f *tokens) stored() string {
	f.t.Helper()
	secret, err := f.member.CoreV1().Secrets("stagegate-system").Get(f.t.Context(), "stagegate-hub", metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	if string(secret.Data[ServerKey]) != "https://hub.example" || string(secret.Data[AuthorityKey]) != "ca" {
		f.t.Errorf("the Secret lost %v", secret.Data)
	}
	return string(secret.Data[TokenKey])
}

// put has a person replace the token.
func (f *tokens) put(token string) {
	f.t.Helper()
	secrets := f.member.CoreV1().Secrets("stagegate-system")
	secret, err := secrets.Get(f.t.Context(), "stagegate-hub", metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	secret.Data[TokenKey] = []byte(token)
	if _, err := secrets.Update(f.t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *tokens) renewed(want int) {
	f.t.Helper()
	if len(f.asked) != want {
		f.t.Errorf("at %s asked for %d tokens, want %d", f.clock.Now(), len(f.asked), want)
	}
}

func TestATokenIsRenewedAtHalfOfItsLife(t *testing.T) {
	f := newTokens(t, tokenFor(start, TokenLife), TokenLife)
	for _, step := range []struct {
		at   time.Duration
		want int
	}{{0, 0}, {TokenLife * 44 / 100, 0}, {TokenLife * 56 / 100, 1}, {TokenLife, 1}, {TokenLife * 112 / 100, 2}} {
		f.clock.SetTime(start.Add(step.at))
		if err := f.renew(); err != nil {
			t.Fatal(err)
		}
		f.renewed(step.want)
	}
	if f.asked[0] != TokenLife {
		t.Errorf("asked for a life of %s", f.asked[0])
	}
	if f.stored() != f.credentials.current() || f.stored() != tokenFor(f.clock.Now(), TokenLife) {
		t.Error("the Secret does not have the token that is used")
	}
}

func TestTheFirstTokenIsReplacedByOneThatLivesLonger(t *testing.T) {
	f := newTokens(t, tokenFor(start, time.Hour), TokenLife)
	for range 2 {
		if err := f.renew(); err != nil {
			t.Fatal(err)
		}
		f.renewed(1)
		f.clock.Step(tokenLook)
	}
}

func TestAHubThatGivesShortTokensIsNotAskedAllTheTime(t *testing.T) {
	f := newTokens(t, tokenFor(start, time.Hour), time.Hour)
	for minutes := range 60 {
		f.clock.SetTime(start.Add(time.Duration(minutes) * time.Minute))
		if err := f.renew(); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.asked) < 2 || len(f.asked) > 3 {
		t.Errorf("asked %d times in an hour, want at the start and at half of the life", len(f.asked))
	}
}

func TestATokenThatAPersonPutsThereCountsAtOnce(t *testing.T) {
	f := newTokens(t, tokenFor(start.Add(-2*TokenLife), TokenLife), TokenLife)
	f.fails = errors.New("Unauthorized")
	for range 2 {
		if err := f.renew(); err == nil || !strings.Contains(err.Error(), "put another one in Secret stagegate-hub") {
			t.Errorf("a token that has ended is renewed: %v", err)
		}
	}
	f.fails = nil
	fresh := tokenFor(start, time.Hour)
	f.put(fresh)
	before := len(f.asked)
	if err := f.renew(); err != nil || len(f.asked) != before+1 || f.stored() == fresh {
		t.Errorf("error %v, asked %d times", err, len(f.asked)-before)
	}
}

func TestATokenOfAnotherKindIsLeftAlone(t *testing.T) {
	for _, token := range []string{"opaque", "a.b.c", "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"iat":5}`)) + ".s"} {
		f := newTokens(t, token, TokenLife)
		f.clock.Step(10 * TokenLife)
		if err := f.renew(); err != nil || f.credentials.current() != token {
			t.Errorf("%s: error %v, now %s", token, err, f.credentials.current())
		}
		f.renewed(0)
	}
}

// The agent renews what the hub has written times into, so the hub's clock counts.
func TestTheClockOfTheHubCounts(t *testing.T) {
	f := newTokens(t, tokenFor(start, TokenLife), TokenLife)
	answer := func(date time.Time) {
		recorder := httptest.NewRecorder()
		recorder.Header().Set("Date", date.Format(http.TimeFormat))
		f.credentials.answered(t.Context(), "", recorder.Result())
	}
	if err := f.renew(); err != nil {
		t.Fatal(err)
	}
	answer(start.Add(TokenLife * 3 / 4))
	if err := f.renew(); err != nil {
		t.Fatal(err)
	}
	f.renewed(1)
}

func TestRequestsHaveThePresentToken(t *testing.T) {
	f := newTokens(t, "first", TokenLife)
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	config, err := f.credentials.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: config.WrapTransport(http.DefaultTransport)}
	for _, token := range []string{"first", "second"} {
		f.put(token)
		if err := f.renew(); err != nil {
			t.Fatal(err)
		}
		response, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got != "Bearer "+token {
			t.Errorf("sent %q", got)
		}
	}
	select {
	case <-f.credentials.rejected:
	default:
		t.Error("that the hub does not accept the token is not noticed")
	}
}

func TestWhatAPersonHasToDoIsSaidWhileTheHubRefusesTheToken(t *testing.T) {
	f := newTokens(t, tokenFor(start, TokenLife), TokenLife)
	if err := f.renew(); err != nil {
		t.Fatal(err)
	}
	old := f.credentials.current()
	answers := func(token string, code int) {
		f.credentials.answered(t.Context(), token, &http.Response{StatusCode: code, Header: http.Header{}})
	}
	says := func(want string) {
		t.Helper()
		if err := f.credentials.Refusal(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("says %v, want %q", err, want)
		}
	}
	says("")
	answers(old, http.StatusForbidden)
	says("")
	answers(old, http.StatusUnauthorized)
	says("kubectl -n fleet-member-paris create token agent --duration=1h), and put it in Secret stagegate-system/stagegate-hub of this cluster, key \"token\"")
	answers(old, http.StatusOK)
	says("")
	answers(old, http.StatusUnauthorized)
	f.put(tokenFor(start.Add(time.Second), TokenLife))
	if err := f.renew(); err != nil {
		t.Fatal(err)
	}
	says("")
	// The answer to a request that was sent before.
	answers(old, http.StatusUnauthorized)
	says("")
	answers(f.credentials.current(), http.StatusUnauthorized)
	says("the hub does not accept the token")
}

func TestWhatTheSecretLacksIsSaid(t *testing.T) {
	for _, tc := range []struct {
		change func(data map[string][]byte)
		want   string
	}{
		{func(data map[string][]byte) { delete(data, TokenKey) }, `put one in Secret stagegate-hub, key "token"`},
		{func(data map[string][]byte) { data[ServerKey] = []byte("http://hub.example") }, `the address of the hub must begin with https://: mend Secret stagegate-hub, key "server"`},
		{func(data map[string][]byte) { delete(data, ServerKey) }, `key "server"`},
	} {
		f := newTokens(t, "token", TokenLife)
		secret, _ := f.member.CoreV1().Secrets("stagegate-system").Get(t.Context(), "stagegate-hub", metav1.GetOptions{})
		tc.change(secret.Data)
		if _, err := f.member.CoreV1().Secrets("stagegate-system").Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.credentials.Config(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}
