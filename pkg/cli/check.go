// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/scheme"
	"github.com/stagegate/stagegate/pkg/view"
)

// services returns the names of the APIServices of the server, one for each version of its groups.
func services() (names []string) {
	for _, gv := range scheme.Scheme.PrioritizedVersionsAllGroups() {
		if gv.Group != "" {
			names = append(names, gv.Version+"."+gv.Group)
		}
	}
	slices.Sort(names)
	return names
}

const (
	// soonExpired is how long before its end a certificate is warned of.
	soonExpired = 30 * 24 * time.Hour
	// maxSkew is how far the clock of the hub may be from this one.
	maxSkew = time.Minute
)

func (o *options) newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check that the installation is sound",
		Long: `Check that the hub serves all APIs of Stagegate, that the certificate with which it trusts the server does not end soon, that the controllers run,
that clocks agree, and that all members have joined and answer. What you may not read is left out, and said. It ends with code 1 where something is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.connect(); err != nil {
				return err
			}
			return o.check(cmd.Context())
		},
	}
}

// finding is what one check has found: nothing wrong, something wrong, or that the user may not look.
type finding struct {
	what, wrong string
	unknown     bool
}

func (o *options) check(ctx context.Context) error {
	found := o.checkServices(ctx)
	found = append(found, o.checkLease(ctx), o.checkClock(ctx))
	found = append(found, o.checkMembers(ctx)...)
	wrong := 0
	for _, f := range found {
		mark := "ok     "
		switch {
		case f.unknown:
			mark = "unknown"
		case f.wrong != "":
			mark = "WRONG  "
			wrong++
		}
		text := mark + "  " + f.what
		if f.wrong != "" {
			text += ": " + f.wrong
		}
		o.print(view.Clean(text))
	}
	if wrong > 0 {
		return exit{exitError, wording.Count(wrong, "check") + " failed"}
	}
	return nil
}

// asFinding returns the finding for an error: what the user may not read is not wrong.
func asFinding(what string, err error) finding {
	if apierrors.IsForbidden(err) {
		return finding{what: what, wrong: "you may not read that", unknown: true}
	}
	return finding{what: what, wrong: err.Error()}
}

// apiService is what there is to know of an APIService.
type apiService struct {
	Spec struct {
		CABundle []byte `json:"caBundle"`
	} `json:"spec"`
	Status struct {
		Conditions []metav1.Condition `json:"conditions"`
	} `json:"status"`
}

func (o *options) checkServices(ctx context.Context) (found []finding) {
	var bundles [][]byte
	for _, name := range services() {
		what := "APIService " + name
		var service apiService
		data, err := o.kubernetes.Discovery().RESTClient().Get().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices/" + name).Do(ctx).Raw()
		if err == nil {
			err = json.Unmarshal(data, &service)
		}
		if err != nil {
			found = append(found, asFinding(what, err))
			continue
		}
		f := finding{what: what}
		if c := meta.FindStatusCondition(service.Status.Conditions, "Available"); c == nil {
			f.wrong = "the hub has not looked at it yet"
		} else if c.Status != metav1.ConditionTrue {
			f.wrong = c.Reason + ": " + c.Message
		}
		found = append(found, f)
		bundles = append(bundles, service.Spec.CABundle)
	}
	if len(bundles) > 0 {
		found = append(found, finding{what: "certificate that the hub trusts the server by", wrong: o.endsSoon(bundles)})
	}
	return found
}

// endsSoon returns why one of the certificates is of no use, or soon will not be.
func (o *options) endsSoon(bundles [][]byte) string {
	for _, bundle := range bundles {
		usable := false
		var last time.Time
		for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return "the caBundle cannot be read: " + err.Error()
			}
			usable = true
			if certificate.NotAfter.After(last) {
				last = certificate.NotAfter
			}
		}
		switch {
		case len(bundle) > 0 && !usable:
			return "the caBundle has no certificate"
		case usable && last.Before(o.now()):
			return "it has ended at " + last.UTC().Format(time.RFC3339)
		case usable && last.Before(o.now().Add(soonExpired)):
			return "it ends at " + last.UTC().Format(time.RFC3339) + ": renew it"
		}
	}
	return ""
}

func (o *options) checkLease(ctx context.Context) finding {
	what := "Lease " + wellknown.SystemNamespace + "/" + wellknown.ServerName + " of the controllers"
	lease, err := o.kubernetes.CoordinationV1().Leases(wellknown.SystemNamespace).Get(ctx, wellknown.ServerName, metav1.GetOptions{})
	if err != nil {
		return asFinding(what, err)
	}
	return finding{what: what, wrong: o.isStale(lease)}
}

// isStale returns why nobody renews a Lease.
func (o *options) isStale(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" || lease.Spec.RenewTime == nil || lease.Spec.LeaseDurationSeconds == nil {
		return "nobody holds it: no replica of the server runs controllers"
	}
	since := o.now().Sub(lease.Spec.RenewTime.Time)
	if since > time.Duration(*lease.Spec.LeaseDurationSeconds)*time.Second+maxSkew {
		return fmt.Sprintf("%s has not renewed it for %s: no replica of the server runs controllers", *lease.Spec.HolderIdentity, since.Round(time.Second))
	}
	return ""
}

// checkClock compares the clock of the hub, by the Date of an answer, with this one, by which ages and expiries are shown.
func (o *options) checkClock(ctx context.Context) finding {
	const what = "clock of the hub"
	config, err := o.config()
	if err != nil {
		return asFinding(what, err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return asFinding(what, err)
	}
	address, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return asFinding(what, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.JoinPath("version").String(), nil)
	if err != nil {
		return asFinding(what, err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return asFinding(what, err)
	}
	answer.Body.Close()
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return finding{what: what, wrong: "its answers have no Date", unknown: true}
	}
	if skew := date.Sub(o.now()); skew.Abs() > maxSkew {
		return finding{what: what, wrong: fmt.Sprintf("it differs from that of this machine by %s, so that ages and expiries are shown wrong", skew.Abs().Round(time.Second))}
	}
	return finding{what: what}
}

func (o *options) checkMembers(ctx context.Context) (found []finding) {
	members, err := o.stagegate.ClusterV1beta1().MemberClusters().List(ctx, metav1.ListOptions{})
	if err != nil {
		return []finding{asFinding("members", err)}
	}
	good := 0
	for i := range members.Items {
		member := &members.Items[i]
		if wrong := troubleOf(member); wrong == "" {
			good++
		} else if len(found) < view.MaxListed {
			found = append(found, finding{what: "member " + member.Name, wrong: wrong})
		}
	}
	return append(found, finding{what: fmt.Sprintf("%d of %s have joined and answer", good, wording.Count(len(members.Items), "member"))})
}

// troubleOf returns why a member takes no part, as its conditions have it.
func troubleOf(member *clusterv1beta1.MemberCluster) string {
	for _, conditionType := range []string{clusterv1beta1.ConditionTypeMemberClusterJoined, clusterv1beta1.ConditionTypeMemberClusterHealthy} {
		c := meta.FindStatusCondition(member.Status.Conditions, conditionType)
		if c == nil {
			return conditionType + " is not known yet"
		}
		if c.Status != metav1.ConditionTrue {
			return fmt.Sprintf("%s is %s: %s: %s", c.Type, c.Status, c.Reason, c.Message)
		}
	}
	return ""
}
