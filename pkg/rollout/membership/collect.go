// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

const (
	// collectors is how many members are read at once. A member takes memory for one of its objects.
	collectors = 4
	// collectTimeout limits how long it may take to read what a member has.
	collectTimeout = 2 * time.Minute
	// beatsPerReport is how many heartbeats there are for each report, and longestReportPeriod how long a report may be good for.
	beatsPerReport      = 5
	longestReportPeriod = 10 * time.Minute
	// collectRest is how many times as long as it took to read a member it is left alone, up to longestCollectRest.
	collectRest        = 20
	longestCollectRest = 30 * time.Minute

	// maxNodes and maxPods are beyond what Kubernetes supports; without an end a member would be read for ever.
	maxNodes = 20_000
	maxPods  = 200_000
	// maxNamespaces is how many namespaces are reported, upstream's limit.
	maxNamespaces = 200
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

// report is what was last collected from a member.
type report struct {
	// generation of the credentials that it was collected with.
	generation string
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

// collect reads what a member that belongs to the fleet and answers has, where that is due, and has it reported. It has a queue of its
// own, so that a large or a slow member delays no heartbeat.
func (c *Controller) collect(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	cluster, err := c.fleet.MemberClusters.Lister().Get(key.Name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	last := c.lastProbe(key.Name)
	if last == nil || last.leaving || last.seen.failure != nil || !cluster.DeletionTimestamp.IsZero() {
		// The next look at the member that succeeds is a change of its MemberCluster.
		return 0, nil
	}
	before := c.reportOf(key.Name)
	if before != nil {
		if wait := before.due(period(cluster)).Sub(c.clock.Now()); wait > 0 {
			return c.collectNamespaces(ctx, key, last.clients, before, wait)
		}
	}
	start := c.clock.Now()
	limited, cancel := context.WithTimeout(ctx, collectTimeout)
	defer cancel()
	next := c.read(limited, last.clients)
	if ctx.Err() != nil {
		// The member was not given the time to answer.
		return 0, ctx.Err()
	}
	next.at = c.clock.Now()
	next.took, next.stretch = next.at.Sub(start), 1+jitter*(2*rand.Float64()-1)
	c.keepReport(key.Name, next)
	if !before.same(next) {
		c.queue.Enqueue(key)
	}
	return next.due(period(cluster)).Sub(next.at), nil
}

// due returns when a member is to be read again.
func (r *report) due(period time.Duration) time.Time {
	return r.at.Add(time.Duration(float64(restAfter(period, r.took)) * r.stretch))
}

// restAfter is how long a member is left alone after it was read.
func restAfter(period, took time.Duration) time.Duration {
	return max(min(beatsPerReport*period, longestReportPeriod), min(collectRest*took, longestCollectRest))
}

// same reports whether a report says nothing that is news after another one, so that the next heartbeat is soon enough to write it.
func (r *report) same(other *report) bool {
	return r != nil && r.generation == other.generation &&
		equality.Semantic.DeepEqual(r.nodes, other.nodes) && equality.Semantic.DeepEqual(r.namespaces, other.namespaces) &&
		equality.Semantic.DeepEqual(r.conditions, other.conditions) &&
		(r.nodes == nil || !differs(r.available, other.available, r.nodes.Allocatable))
}

// read collects what a member has. What it may not read, or not in time, is left out, with a condition that says so.
func (c *Controller) read(ctx context.Context, member *clients) *report {
	r := &report{generation: member.generation}
	client := member.kube.CoreV1().RESTClient()
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
func (r *report) listNamespaces(ctx context.Context, client rest.Interface, clock clock.PassiveClock) {
	start := clock.Now()
	namespaces, complete, err := readNamespaces(ctx, client)
	r.namespaces, r.listed = namespaces, clock.Now()
	r.listing = r.listed.Sub(start)
	if err == nil && !complete {
		r.conditions = append(r.conditions, metav1.Condition{
			Type:    v1beta1.ConditionTypeNamespaceCollectionSucceeded,
			Status:  metav1.ConditionFalse,
			Reason:  reasonNamespacesDegraded,
			Message: fmt.Sprintf("%s: status.namespaces has the first %d by name and is not complete", messageNamespacesDegraded, maxNamespaces),
		})
		return
	}
	r.set(v1beta1.ConditionTypeNamespaceCollectionSucceeded, reasonNamespacesCollected, messageNamespacesCollected, err)
}

// set adds a condition that is True, or False with why.
func (r *report) set(conditionType, reason, message string, err error) {
	condition := metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: reason, Message: message}
	if err != nil {
		condition.Status = metav1.ConditionFalse
		condition.Reason, condition.Message = whyNotCollected(err)
		condition.Message = wording.Shorten(condition.Message, maxMessage)
	}
	r.conditions = append(r.conditions, condition)
}

func whyNotCollected(err error) (reason, message string) {
	var tooMany *tooManyError
	switch {
	case errors.As(err, &tooMany):
		return reasonTooManyObjects, "What was read last stays in the status: " + tooMany.Error()
	case apierrors.IsForbidden(err):
		return reasonForbidden, "The credentials of the member do not allow it; give them list on nodes, pods and namespaces. " +
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
		if len(names) == maxNamespaces {
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

// collected brings what was collected of a member into its status. What could not be read stays as it was, and so does what is free unless
// it differs by much.
func (r reporter) collected(next *report) {
	for _, condition := range next.conditions {
		r.set(&r.status.Conditions, condition.Type, condition.Status, condition.Reason, condition.Message)
	}
	if next.namespaces != nil {
		r.status.Namespaces = next.namespaces
	}
	available := r.status.ResourceUsage.Available
	switch {
	case next.nodes == nil, next.available == nil && available != nil && len(next.nodes.Allocatable) > 0:
		// The nodes or the Pods could not be read. Numbers of two times do not fit together.
		return
	case len(next.nodes.Allocatable) == 0:
		r.status.ResourceUsage = v1beta1.ResourceUsage{}
		return
	case differs(available, next.available, next.nodes.Allocatable):
		available = next.available
	}
	r.status.ResourceUsage = v1beta1.ResourceUsage{
		Capacity:        next.nodes.Capacity,
		Allocatable:     next.nodes.Allocatable,
		Available:       available,
		ObservationTime: metav1.NewTime(next.at).Rfc3339Copy(),
	}
}

// reportOf returns what was last collected from a member with the credentials that it has now, nil if nothing was.
func (c *Controller) reportOf(cluster string) *report {
	c.mu.Lock()
	defer c.mu.Unlock()
	probe, report := c.probes[cluster], c.reports[cluster]
	if probe == nil || report == nil || probe.clients.generation != report.generation {
		return nil
	}
	return report
}

func (c *Controller) keepReport(cluster string, r *report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports[cluster] = r
}
