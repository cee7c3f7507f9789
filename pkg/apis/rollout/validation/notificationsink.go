// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

const (
	maxCABundle = 64 << 10
	maxURL      = 2048
	// maxTypeLength is how long an entry of types may be.
	maxTypeLength = 64
)

// ValidateNotificationSink returns what is wrong with a new sink. Whether its types exist is the registry's to ask.
func ValidateNotificationSink(object *v1alpha1.NotificationSink) field.ErrorList {
	spec := &object.Spec
	var errs field.ErrorList
	switch {
	case spec.URL == "" && spec.URLSecret == nil:
		errs = append(errs, field.Required(specPath.Child("url"), "say where notifications go, or name the Secret that has it in urlSecret"))
	case spec.URL != "" && spec.URLSecret != nil:
		errs = append(errs, field.Forbidden(specPath.Child("urlSecret"), "set either url or urlSecret"))
	case spec.URL != "":
		if _, err := ParseSinkURL(spec.URL); err != nil {
			// The URL may hold what should have been in a Secret: it is not repeated.
			errs = append(errs, field.Invalid(specPath.Child("url"), "", err.Error()))
		}
	}
	errs = append(errs, validateSecretKey(spec.URLSecret, specPath.Child("urlSecret"))...)
	errs = append(errs, validateSecretKey(spec.HMACSecret, specPath.Child("hmacSecret"))...)
	if spec.Auth != nil {
		errs = append(errs, validateSecretKey(spec.Auth.BearerTokenSecret, specPath.Child("auth", "bearerTokenSecret"))...)
	}
	errs = append(errs, validateCABundle(spec.CABundle, specPath.Child("caBundle"))...)
	for i, t := range spec.Types {
		if len(t) > maxTypeLength {
			errs = append(errs, field.TooLong(specPath.Child("types").Index(i), "", maxTypeLength))
		}
	}
	return append(errs, validateMatch(spec.Match, specPath.Child("match"))...)
}

// ValidateNotificationSinkStatusUpdate returns what is wrong with a sink's new status.
func ValidateNotificationSinkStatusUpdate(object, _ *v1alpha1.NotificationSink) field.ErrorList {
	return metav1validation.ValidateConditions(object.Status.Conditions, statusPath.Child("conditions"))
}

// ParseSinkURL reads the URL of a sink, and returns an error that does not repeat it if the URL cannot be used.
func ParseSinkURL(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("the URL must have at most %d characters", maxURL)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("the URL cannot be read: write it as https://host/path")
	case u.Scheme != "https":
		return nil, errors.New("the URL must begin with https://: whoever is on the way would read and change notifications")
	case u.Hostname() == "":
		return nil, errors.New("the URL must name a host, as in https://host/path")
	case u.User != nil:
		return nil, errors.New("the URL must have no user or password: put a token into auth.bearerTokenSecret")
	case u.Fragment != "":
		return nil, errors.New("the URL must have no fragment: it is not sent")
	}
	return u, nil
}

// validateSecretKey refuses the Secrets of members by their names, whatever labels they have.
func validateSecretKey(ref *v1alpha1.SecretKeyReference, path *field.Path) field.ErrorList {
	if ref == nil {
		return nil
	}
	var errs field.ErrorList
	for _, message := range apivalidation.NameIsDNSSubdomain(ref.Name, false) {
		errs = append(errs, field.Invalid(path.Child("name"), ref.Name, message))
	}
	if wellknown.IsMemberSecretName(ref.Name) {
		errs = append(errs, field.Forbidden(path.Child("name"), "the Secret is that of a member: make one for the sink"))
	}
	for _, message := range validation.IsConfigMapKey(ref.Key) {
		errs = append(errs, field.Invalid(path.Child("key"), ref.Key, message))
	}
	return errs
}

func validateCABundle(bundle []byte, path *field.Path) field.ErrorList {
	switch {
	case len(bundle) == 0:
		return nil
	case len(bundle) > maxCABundle:
		return field.ErrorList{field.TooLong(path, "", maxCABundle)}
	case !x509.NewCertPool().AppendCertsFromPEM(bundle):
		return field.ErrorList{field.Invalid(path, "", "must have a certificate in PEM")}
	}
	return nil
}
