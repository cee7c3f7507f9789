// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

const (
	// collectTimeout limits how long it may take to read what a member has.
	collectTimeout = 2 * time.Minute
	// beatsPerReport is how many heartbeats there are for each report, and longestReportPeriod how long a report may be good for.
	beatsPerReport      = 5
	longestReportPeriod = 10 * time.Minute
	// collectRest is how many times as long as it took to read a member it is left alone, up to longestCollectRest.
	collectRest        = 20
	longestCollectRest = 30 * time.Minute
	// shortestListRest is how long a member is left alone at least after its namespaces were listed.
	shortestListRest = time.Second

	// maxNodes and maxPods are beyond what Kubernetes supports; without an end a member would be read for ever.
	maxNodes = 20_000
	maxPods  = 200_000
	// MaxNamespaces is how many namespaces are reported, upstream's limit.
	MaxNamespaces = 200
)

// Reasons and messages of the conditions on reports, upstream's where it has them.
const (
	reasonProviderStarted     = "Started"
	reasonPropertiesCollected = "PropertiesCollected"
	reasonTimedOut            = "TimedOut"
	reasonTooManyObjects      = "TooManyObjects"
	reasonCollectionFailed    = "CollectionFailed"
	reasonNamespacesCollected = "Succeeded"
	reasonNamespacesDegraded  = "Degraded"

	messageProviderStarted     = "The property provider has started successfully"
	messagePropertiesCollected = "The property provider has returned the latest cluster properties"
	messageTimedOut            = "The property provider does not respond in time: reading the nodes, Pods and namespaces took longer than 2 minutes; " +
		"check how fast the member's API server answers. What was read last stays in the status"
	messageNamespacesCollected = "All namespaces have been collected successfully"
	messageNamespacesDegraded  = "Namespaces are collected in a degraded mode since the number of namespaces reaches the track limit"
)

// Report is what was last collected from a member.
type Report struct {
	// at is when it was collected, took how long that took, and stretch spreads the next ones of a fleet.
	at      time.Time
	took    time.Duration
	stretch float64
	// nodes are what the nodes have, nil where they could not be read, and empty where there are none; available is nil where the nodes or
	// the Pods could not be read.
	nodes     *v1beta1.ResourceUsage
	available corev1.ResourceList
	// namespaces is nil where they could not be read, listed when that was, and listing how long it took.
	namespaces map[string]string
	listed     time.Time
	listing    time.Duration
	conditions []metav1.Condition
}

// Collect reads what a member that belongs to the fleet and answers has, where that is due, and reports whether that is news. Between two
// reports it lists the namespaces where awaited reports that the last list may lack one. It takes as long as the member does, and delays no
// look at it. It returns when to look again, 0 for not before the next look at the member has succeeded.
func (c *Cluster) Collect(ctx context.Context, period time.Duration, awaited func(*Report) bool) (again time.Duration, news bool) {
	last := c.lastProbe()
	if last == nil || last.leaving || last.seen.Failure != nil {
		return 0, false
	}
	before := c.Report()
	if before != nil {
		if wait := before.due(period).Sub(c.clock.Now()); wait > 0 {
			return c.collectNamespaces(ctx, before, awaited, wait)
		}
	}
	start := c.clock.Now()
	limited, cancel := context.WithTimeout(ctx, collectTimeout)
	defer cancel()
	next := c.read(limited)
	if ctx.Err() != nil {
		// The member was not given the time to answer.
		return 0, false
	}
	next.at = c.clock.Now()
	next.took, next.stretch = next.at.Sub(start), 1+jitter*(2*rand.Float64()-1)
	c.keep(next)
	return next.due(period).Sub(next.at), !before.same(next)
}

// collectNamespaces lists the namespaces of a member where that is due, and returns when to look at it again. That is not later than wait,
// when the member is to be read whole.
func (c *Cluster) collectNamespaces(ctx context.Context, last *Report, awaited func(*Report) bool, wait time.Duration) (time.Duration, bool) {
	if !awaited(last) {
		return wait, false
	}
	rest := max(shortestListRest, min(collectRest*last.listing, longestCollectRest))
	if rested := last.listed.Add(rest).Sub(c.clock.Now()); rested > 0 {
		return min(wait, rested), false
	}
	limited, cancel := context.WithTimeout(ctx, collectTimeout)
	defer cancel()
	next := *last
	next.conditions = slices.DeleteFunc(slices.Clone(last.conditions), func(condition metav1.Condition) bool {
		return condition.Type == v1beta1.ConditionTypeNamespaceCollectionSucceeded
	})
	next.listNamespaces(limited, c.clients.kube.CoreV1().RESTClient(), c.clock)
	if ctx.Err() != nil {
		return 0, false
	}
	c.keep(&next)
	return wait, !last.same(&next)
}

// Report is what was last collected from the member, nil if nothing was.
func (c *Cluster) Report() *Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.report
}

func (c *Cluster) keep(r *Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report = r
}

// ListedBefore reports whether the namespaces were listed before a time.
func (r *Report) ListedBefore(t time.Time) bool { return r.listed.Before(t) }

// Lacks reports whether a namespace that has come to be of use at a time may be on the member although the list lacks it. A list that could
// not be made, or is not complete, does not tell what it lacks.
func (r *Report) Lacks(namespace string, since time.Time) bool {
	if r.namespaces == nil || len(r.namespaces) >= MaxNamespaces {
		return false
	}
	_, has := r.namespaces[namespace]
	// Times in the API have whole seconds.
	return !has && !since.Before(r.listed.Truncate(time.Second))
}

// due returns when a member is to be read again.
func (r *Report) due(period time.Duration) time.Time {
	return r.at.Add(time.Duration(float64(restAfter(period, r.took)) * r.stretch))
}

// restAfter is how long a member is left alone after it was read.
func restAfter(period, took time.Duration) time.Duration {
	return max(min(beatsPerReport*period, longestReportPeriod), min(collectRest*took, longestCollectRest))
}

// same reports whether a report says nothing that is news after another one, so that the next heartbeat is soon enough to write it.
func (r *Report) same(other *Report) bool {
	return r != nil &&
		equality.Semantic.DeepEqual(r.nodes, other.nodes) && equality.Semantic.DeepEqual(r.namespaces, other.namespaces) &&
		equality.Semantic.DeepEqual(r.conditions, other.conditions) &&
		(r.nodes == nil || !differs(r.available, other.available, r.nodes.Allocatable))
}

// read collects what a member has. What it may not read, or not in time, is left out, with a condition that says so.
func (c *Cluster) read(ctx context.Context) *Report {
	r := &Report{}
	client := c.clients.kube.CoreV1().RESTClient()
	r.set(v1beta1.ConditionTypeClusterPropertyProviderStarted, reasonProviderStarted, messageProviderStarted, nil)
	nodes, err := readNodes(ctx, client)
	if r.nodes = nodes; err == nil && len(nodes.Allocatable) > 0 {
		r.available, err = readAvailable(ctx, client, nodes)
	}
	r.set(v1beta1.ConditionTypeClusterPropertyCollectionSucceeded, reasonPropertiesCollected, messagePropertiesCollected, err)
	r.listNamespaces(ctx, client, c.clock)
	return r
}

// listNamespaces collects the namespaces of a member.
func (r *Report) listNamespaces(ctx context.Context, client rest.Interface, clock clock.PassiveClock) {
	start := clock.Now()
	namespaces, complete, err := readNamespaces(ctx, client)
	r.namespaces, r.listed = namespaces, clock.Now()
	r.listing = r.listed.Sub(start)
	if err == nil && !complete {
		r.conditions = append(r.conditions, metav1.Condition{
			Type:    v1beta1.ConditionTypeNamespaceCollectionSucceeded,
			Status:  metav1.ConditionFalse,
			Reason:  reasonNamespacesDegraded,
			Message: fmt.Sprintf("%s: status.namespaces has the first %d by name and is not complete", messageNamespacesDegraded, MaxNamespaces),
		})
		return
	}
	r.set(v1beta1.ConditionTypeNamespaceCollectionSucceeded, reasonNamespacesCollected, messageNamespacesCollected, err)
}

// set adds a condition that is True, or False with why.
func (r *Report) set(conditionType, reason, message string, err error) {
	condition := metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: reason, Message: message}
	if err != nil {
		condition.Status = metav1.ConditionFalse
		condition.Reason, condition.Message = whyNotCollected(err)
		condition.Message = wording.Shorten(condition.Message, MaxMessage)
	}
	r.conditions = append(r.conditions, condition)
}

func whyNotCollected(err error) (reason, message string) {
	var tooMany *tooManyError
	switch {
	case errors.As(err, &tooMany):
		return reasonTooManyObjects, "What was read last stays in the status: " + tooMany.Error()
	case apierrors.IsForbidden(err):
		return ReasonForbidden, "The credentials of the member do not allow it; give them list on nodes, pods and namespaces. " +
			"What was read last stays in the status: " + brief(err)
	case errors.Is(err, context.DeadlineExceeded):
		return reasonTimedOut, messageTimedOut
	default:
		return reasonCollectionFailed, "What was read last stays in the status: " + brief(err)
	}
}

// readNodes adds up what the nodes have, whether they are ready or not. A cluster without nodes has nothing, not even zero.
func readNodes(ctx context.Context, client rest.Interface) (*v1beta1.ResourceUsage, error) {
	var capacity, allocatable amounts
	count := 0
	err := each(ctx, pages{client: client, resource: "nodes", accept: wholeObjects, limit: maxNodes}, func(n *node) error {
		count++
		capacity = capacity.plus(n.Status.Capacity.amounts())
		allocatable = allocatable.plus(n.Status.Allocatable.amounts())
		return nil
	})
	if err != nil {
		return nil, err
	}
	if count == 0 {
		return &v1beta1.ResourceUsage{}, nil
	}
	return &v1beta1.ResourceUsage{Capacity: capacity.list(), Allocatable: allocatable.list()}, nil
}

// readAvailable returns what is left of allocatable after the requests of the Pods on nodes that have not ended.
func readAvailable(ctx context.Context, client rest.Interface, nodes *v1beta1.ResourceUsage) (corev1.ResourceList, error) {
	var requested amounts
	err := each(ctx, pages{
		client:        client,
		resource:      "pods",
		accept:        wholeObjects,
		fieldSelector: "spec.nodeName!=,status.phase!=" + string(corev1.PodSucceeded) + ",status.phase!=" + string(corev1.PodFailed),
		limit:         maxPods,
	}, func(p *pod) error {
		if p.occupies() {
			requested = requested.plus(p.requests())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return amounts{
		cpu:    nodes.Allocatable.Cpu().MilliValue(),
		memory: nodes.Allocatable.Memory().Value(),
	}.minus(requested).list(), nil
}

// namespace is what is read of a Namespace.
type namespace struct {
	Metadata struct {
		Name              string                  `json:"name"`
		DeletionTimestamp *metav1.Time            `json:"deletionTimestamp"`
		OwnerReferences   []metav1.OwnerReference `json:"ownerReferences"`
	} `json:"metadata"`
}

// readNamespaces returns the first namespaces by name that are not being deleted, with the AppliedWork that owns them, and whether these
// are all.
func readNamespaces(ctx context.Context, client rest.Interface) (names map[string]string, complete bool, err error) {
	names, complete = map[string]string{}, true
	err = each(ctx, pages{client: client, resource: "namespaces", accept: onlyMetadata, limit: maxPods}, func(n *namespace) error {
		if n.Metadata.DeletionTimestamp != nil || len(validation.IsDNS1123Label(n.Metadata.Name)) > 0 {
			return nil
		}
		if len(names) == MaxNamespaces {
			complete = false
			return errEnough
		}
		names[n.Metadata.Name] = ownerOf(n.Metadata.OwnerReferences)
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return names, complete, nil
}

// ownerOf returns the name of the AppliedWork among the owners of an object, which is that of the Work; empty where there is none.
func ownerOf(owners []metav1.OwnerReference) string {
	for _, owner := range owners {
		version, err := schema.ParseGroupVersion(owner.APIVersion)
		if err == nil && version.Group == placementv1beta1.GroupName && owner.Kind == "AppliedWork" && len(validation.IsDNS1123Subdomain(owner.Name)) == 0 {
			return owner.Name
		}
	}
	return ""
}

// Collected brings what was collected of a member into its status. What could not be read stays as it was, and so does what is free unless
// it differs by much.
func (r Reporter) Collected(next *Report) {
	for _, condition := range next.conditions {
		r.set(&r.Status.Conditions, condition.Type, condition.Status, condition.Reason, condition.Message)
	}
	if next.namespaces != nil {
		r.Status.Namespaces = next.namespaces
	}
	available := r.Status.ResourceUsage.Available
	switch {
	case next.nodes == nil, next.available == nil && available != nil && len(next.nodes.Allocatable) > 0:
		// The nodes or the Pods could not be read. Numbers of two times do not fit together.
		return
	case len(next.nodes.Allocatable) == 0:
		r.Status.ResourceUsage = v1beta1.ResourceUsage{}
		return
	case differs(available, next.available, next.nodes.Allocatable):
		available = next.available
	}
	r.Status.ResourceUsage = v1beta1.ResourceUsage{
		Capacity:        next.nodes.Capacity,
		Allocatable:     next.nodes.Allocatable,
		Available:       available,
		ObservationTime: metav1.NewTime(next.at).Rfc3339Copy(),
	}
}
