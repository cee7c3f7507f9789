// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// Keys of the Secret on the member that has how to reach the hub.
const (
	ServerKey    = "server"
	AuthorityKey = "ca.crt"
	TokenKey     = "token"
)

// Account is the name of the ServiceAccount of an agent, in the member's namespace on the hub. The ClusterRole of agents lets no other ask
// for tokens.
const Account = "agent"

const (
	// TokenLife is how long a new token is asked to be valid. A hub may give less; the manifests let an agent have no more.
	TokenLife = 7 * 24 * time.Hour
	// tokenLook is how often the Secret is read, for a token that a person has put there, and how soon a renewal that failed is tried again.
	tokenLook = time.Minute
	// renewalJitter spreads the renewals of a fleet around half of the life of a token.
	renewalJitter = 0.1
	// renewalTimeout limits a request for a token.
	renewalTimeout = 30 * time.Second
	// tolerableSkew is how far the clocks of hub and member may differ without a word.
	tolerableSkew = time.Minute
)

// Credentials are how the agent reaches the hub. They are in a Secret on the member, so that each replica has them, and a person can replace
// them: the token counts as soon as it was read, anything else when the agent starts again.
type Credentials struct {
	secrets   typedcorev1.SecretInterface
	namespace string
	name      string
	cluster   string
	clock     clock.Clock

	mu    sync.Mutex
	token string
	// ahead is how far the clock of the hub is ahead of this one.
	ahead  time.Duration
	warned bool
	// renewed reports that the present token is one that was asked for here: a hub that gives it a short life gives no longer one.
	renewed bool
	// spread is the part of the life of the present token at which it is renewed.
	spread float64
	// refused is the token that the hub did not accept last, empty since it has accepted one.
	refused string
	// rejected is sent to when the hub does not accept the token.
	rejected chan struct{}
}

// NewCredentials returns those of a Secret on the member, for the member's agent.
func NewCredentials(member kubernetes.Interface, namespace, secret, cluster string, clock clock.Clock) *Credentials {
	return &Credentials{
		secrets: member.CoreV1().Secrets(namespace), namespace: namespace, name: secret, cluster: cluster, clock: clock, rejected: make(chan struct{}, 1),
	}
}

// Config returns how to reach the hub, with the token that the Secret has and all later ones. It fails where the Secret lacks anything.
func (c *Credentials) Config(ctx context.Context) (*rest.Config, error) {
	secret, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	server := strings.TrimSpace(string(secret.Data[ServerKey]))
	if !strings.HasPrefix(server, "https://") {
		return nil, fmt.Errorf("the address of the hub must begin with https://: mend Secret %s, key %q", c.name, ServerKey)
	}
	return &rest.Config{
		Host:            server,
		TLSClientConfig: rest.TLSClientConfig{CAData: secret.Data[AuthorityKey]},
		UserAgent:       rest.DefaultKubernetesUserAgent(),
		WarningHandler:  rest.NoWarnings{},
		// The hub has its own priority and fairness. This only stops runaways.
		QPS: 50, Burst: 200,
		WrapTransport: func(next http.RoundTripper) http.RoundTripper { return &transport{c, next} },
	}, nil
}

// read takes the token that the Secret has.
func (c *Credentials) read(ctx context.Context) (*corev1.Secret, error) {
	secret, err := c.secrets.Get(ctx, c.name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s, which has how to reach the hub: %w", c.name, err)
	}
	token := strings.TrimSpace(string(secret.Data[TokenKey]))
	if token == "" {
		return nil, fmt.Errorf("there is no token to reach the hub with: put one in Secret %s, key %q", c.name, TokenKey)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if token != c.token {
		// Whoever has put it there may have given it a short life.
		c.token, c.renewed, c.spread = token, false, 1+renewalJitter*(2*rand.Float64()-1)
		countTokenLife(token)
	}
	return secret, nil
}

// Renew keeps the token valid until the context ends: it asks the hub for another one when half of the life of the present one is over, and
// soon where that has a short life, as the first one has. It reads the Secret all along, so that a person can put a token there.
func (c *Credentials) Renew(ctx context.Context, hub kubernetes.Interface) {
	logger := klog.FromContext(ctx)
	said := ""
	for ctx.Err() == nil {
		wait, err := c.renew(ctx, hub)
		if ctx.Err() != nil {
			return
		}
		if refusal := c.Refusal(); refusal != nil {
			err = refusal
		}
		if err != nil && err.Error() != said {
			logger.Error(err, "Trying again to keep the token valid", "after", wait)
		}
		if said = ""; err != nil {
			said = err.Error()
		}
		timer := c.clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C():
		case <-c.rejected:
			// Nobody is helped by looking all the time.
			select {
			case <-ctx.Done():
			case <-timer.C():
			case <-c.clock.After(min(wait, 5*time.Second)):
			}
		}
		timer.Stop()
	}
}

// renew reads the Secret, and replaces its token where that is due. It returns when to look again.
func (c *Credentials) renew(ctx context.Context, hub kubernetes.Interface) (time.Duration, error) {
	secret, err := c.read(ctx)
	if err != nil {
		return tokenLook, err
	}
	from, until, ok := lifeOf(c.current())
	if !ok {
		// It is none of a TokenRequest, and lives until somebody ends it.
		return tokenLook, nil
	}
	if wait := c.due(from, until); wait > 0 {
		return min(wait, tokenLook), nil
	}
	limited, cancel := context.WithTimeout(ctx, renewalTimeout)
	defer cancel()
	namespace := wellknown.MemberNamespace(c.cluster)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(TokenLife / time.Second))}}
	response, err := hub.CoreV1().ServiceAccounts(namespace).CreateToken(limited, Account, request, metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil {
		return tokenLook, fmt.Errorf("a new token of ServiceAccount %s/%s on the hub (the present one is valid until %s; once it is not, put another one in Secret %s): %w",
			namespace, Account, until.UTC().Format(time.RFC3339), c.name, err)
	}
	if response.Status.Token == "" {
		return tokenLook, errors.New("the hub returned a token that is empty")
	}
	secret = secret.DeepCopy()
	secret.Data[TokenKey] = []byte(response.Status.Token)
	if _, err := c.secrets.Update(limited, secret, metav1.UpdateOptions{FieldManager: fieldManager}); err != nil {
		// Whoever was faster has put a token there, which is read next.
		return tokenLook, fmt.Errorf("writing the new token to Secret %s: %w", c.name, err)
	}
	c.mu.Lock()
	c.token, c.renewed, c.spread = response.Status.Token, true, 1+renewalJitter*(2*rand.Float64()-1)
	countTokenLife(c.token)
	c.mu.Unlock()
	klog.FromContext(ctx).Info("Token renewed", "until", response.Status.ExpirationTimestamp)
	return tokenLook, nil
}

// due is how long the token is good for before it must be renewed, by the clock of the hub, which has written its times.
func (c *Credentials) due(from, until time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now().Add(c.ahead)
	life := until.Sub(from)
	if life < TokenLife/2 && !c.renewed {
		return 0
	}
	return from.Add(time.Duration(float64(life) / 2 * c.spread)).Sub(now)
}

// Refusal returns what a person has to do where the hub does not accept the token, nil as long as it does. The agent cannot mend that: it
// gets no other token from the hub with one that has ended.
func (c *Credentials) Refusal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == "" || c.refused != c.token {
		return nil
	}
	return fmt.Errorf("the hub does not accept the token, which has ended or was revoked: make another one on the hub (kubectl -n %s create token %s --duration=1h), "+
		"and put it in Secret %s/%s of this cluster, key %q", wellknown.MemberNamespace(c.cluster), Account, c.namespace, c.name, TokenKey)
}

func (c *Credentials) current() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

// lifeOf reads from a token since when and until when it is valid, and returns false for one that does not say. It is not verified: only the
// hub can do that.
func lifeOf(token string) (from, until time.Time, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return from, until, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return from, until, false
	}
	var claims struct {
		IssuedAt int64 `json:"iat"`
		Expires  int64 `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.IssuedAt <= 0 || claims.Expires <= claims.IssuedAt {
		return from, until, false
	}
	return time.Unix(claims.IssuedAt, 0), time.Unix(claims.Expires, 0), true
}

// transport adds the present token to requests.
type transport struct {
	credentials *Credentials
	next        http.RoundTripper
}

var _ utilnet.RoundTripperWrapper = &transport{}

// WrappedRoundTripper returns the transport below, for those who close its idle connections.
func (t *transport) WrappedRoundTripper() http.RoundTripper { return t.next }

// RoundTrip sends a request.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	request = utilnet.CloneRequest(request)
	token := t.credentials.current()
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := t.next.RoundTrip(request)
	if err == nil {
		t.credentials.answered(request.Context(), token, response)
		if response.StatusCode == http.StatusOK && request.URL.Query().Get("watch") == "true" {
			response.Body = countWatch(response.Body)
		}
	}
	return response, err
}

// answered takes from an answer of the hub what time it is there, and whether it accepts the token that it was sent.
func (c *Credentials) answered(ctx context.Context, token string, response *http.Response) {
	rejected := response.StatusCode == http.StatusUnauthorized
	c.mu.Lock()
	switch {
	case rejected:
		c.refused = token
	case c.refused == token:
		// A hub that starts accepts none.
		c.refused = ""
	}
	c.mu.Unlock()
	if rejected {
		select {
		case c.rejected <- struct{}{}:
		default:
		}
	}
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ahead = date.Sub(c.clock.Now()); c.ahead.Abs() < 2*time.Second {
		// The header has whole seconds.
		c.ahead = 0
	}
	if isFar := c.ahead.Abs() > tolerableSkew; isFar != c.warned {
		if c.warned = isFar; isFar {
			klog.FromContext(ctx).Info("The clocks of the hub and of this machine differ; set the one that is wrong", "hubIsAheadBy", c.ahead.Round(time.Second))
		}
	}
}
