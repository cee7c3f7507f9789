// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/validation"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/outbound"
	"github.com/stagegate/stagegate/pkg/rules/notification"
)

const (
	// requestTimeout is how long an endpoint may take to answer.
	requestTimeout = 10 * time.Second
	// maxAnswer is how much of an answer is read, to use the connection again. Nobody looks at it.
	maxAnswer = 64 << 10
	// signatureHeader has the HMAC of the body.
	signatureHeader = "X-Signature"
)

// target is where a sink is, with what is in its Secrets.
type target struct {
	url        *url.URL
	key, token []byte
}

// resolve reads the Secrets of a sink.
func resolve(sink *v1alpha1.NotificationSink, secrets cache.Store) (*target, error) {
	t, raw, spec := &target{}, sink.Spec.URL, &sink.Spec
	if spec.URLSecret != nil {
		value, err := secretValue(sink.Name, spec.URLSecret, secrets)
		if err != nil {
			return nil, fmt.Errorf("spec.urlSecret: %w", err)
		}
		raw = strings.TrimSpace(string(value))
	}
	u, err := validation.ParseSinkURL(raw)
	if err != nil {
		return nil, err
	}
	t.url = u
	if spec.HMACSecret != nil {
		if t.key, err = secretValue(sink.Name, spec.HMACSecret, secrets); err != nil {
			return nil, fmt.Errorf("spec.hmacSecret: %w", err)
		}
	}
	if spec.Auth != nil && spec.Auth.BearerTokenSecret != nil {
		token, err := secretValue(sink.Name, spec.Auth.BearerTokenSecret, secrets)
		if err != nil {
			return nil, fmt.Errorf("spec.auth.bearerTokenSecret: %w", err)
		}
		t.token = bytes.TrimSpace(token)
	}
	return t, nil
}

// secretValue returns a value of a Secret that is labeled for the sink. What is wrong with another one is nobody's business: a sink tells nothing
// of Secrets that are not its own, and never reads those of members.
func secretValue(sink string, ref *v1alpha1.SecretKeyReference, secrets cache.Store) ([]byte, error) {
	key := cache.NewObjectName(wellknown.SystemNamespace, ref.Name).String()
	obj, found, err := secrets.GetByKey(key)
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s from the cache: %w", key, err)
	}
	secret, _ := obj.(*corev1.Secret)
	if !found || secret == nil || secret.Labels[wellknown.NotificationSinkLabel] != sink || wellknown.IsMemberSecretName(ref.Name) {
		return nil, fmt.Errorf("there is no Secret %s with the label %s=%s: create it, or label it", key, wellknown.NotificationSinkLabel, sink)
	}
	value := secret.Data[ref.Key]
	if len(bytes.TrimSpace(value)) == 0 {
		return nil, fmt.Errorf("Secret %s has nothing under the key %s", key, ref.Key) //nolint:staticcheck // Secret is a kind
	}
	return value, nil
}

// body encodes an event as a sink wants it.
func body(format v1alpha1.NotificationFormat, event notification.Event) (content []byte, contentType string, err error) {
	if format == v1alpha1.NotificationFormatSlack {
		content, err = event.Slack()
		return content, notification.ContentTypeJSON, err
	}
	content, err = event.CloudEvent()
	return content, notification.ContentTypeCloudEvent, err
}

// post sends a body to a target. Its errors have neither the URL nor anything of the answer but its status code.
func post(ctx context.Context, client *http.Client, to *target, content []byte, contentType string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.url.String(), bytes.NewReader(content))
	if err != nil {
		return errors.New("the URL cannot be used for a request")
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("User-Agent", "stagegate")
	if to.key != nil {
		request.Header.Set(signatureHeader, signature(to.key, content))
	}
	if to.token != nil {
		request.Header.Set("Authorization", "Bearer "+string(to.token))
	}
	// The client itself reads where a redirect leads, and repeats it in its errors.
	response, err := client.Transport.RoundTrip(request)
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("the endpoint has not answered within %s", requestTimeout)
		}
		return explain(err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return fmt.Errorf("the endpoint redirects (%d), which is not followed: write the URL that it leads to", code)
	default:
		return fmt.Errorf("the endpoint answers %s", strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code))))
	}
}

// explain puts why there is no answer into words of its own: those of the error may have the URL, which may be a credential, and what the endpoint
// has sent instead of an answer.
func explain(err error) error {
	var (
		refused     *outbound.RefusedError
		unresolved  *net.DNSError
		unknown     x509.UnknownAuthorityError
		otherName   x509.HostnameError
		invalid     x509.CertificateInvalidError
		notTLS      tls.RecordHeaderError
		alert       tls.AlertError
		interrupted net.Error
	)
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &unresolved) && unresolved.IsNotFound:
		return errors.New("the host of the endpoint is not known: correct the URL, or the DNS")
	case errors.As(err, &unresolved):
		return errors.New("the host of the endpoint cannot be looked up: the DNS does not answer")
	case errors.As(err, &unknown):
		return errors.New("the endpoint has a certificate signed by unknown authority: put that of its authority into spec.caBundle")
	case errors.As(err, &otherName):
		return errors.New("the endpoint has a certificate for another host")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return errors.New("the endpoint has a certificate that has expired or is not valid yet")
	case errors.As(err, &invalid):
		return errors.New("the endpoint has a certificate that cannot be used")
	case errors.As(err, &notTLS):
		return errors.New("the endpoint does not speak TLS")
	case errors.As(err, &alert):
		return errors.New("the endpoint ends the TLS handshake")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("the endpoint refuses the connection")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return errors.New("no network leads to the endpoint")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("the endpoint has closed the connection")
	case errors.As(err, &interrupted) && interrupted.Timeout():
		return errors.New("the endpoint could not be connected to in time")
	}
	return errors.New("the endpoint does not speak HTTP as expected")
}

// signature is the value of the header by which a receiver knows who has sent a body.
func signature(key, content []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(content)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// roots are whom a sink trusts, nil for those of the system.
func roots(bundle []byte) *x509.CertPool {
	if len(bundle) == 0 {
		return nil
	}
	pool := x509.NewCertPool()
	// A bundle without a certificate was refused; one that got in anyway trusts nobody.
	pool.AppendCertsFromPEM(bundle)
	return pool
}
