// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package act

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/client/scoped"
	clientscheme "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/scheme"
	placementclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/placement/v1beta1"
)

// Seen is an object as a user has seen it. A request about it is refused for another object of the name, and with a resourceVersion for an object that
// has changed since.
type Seen struct {
	types.NamespacedName
	UID types.UID
	// ResourceVersion is empty where the request is meant whatever has become of the object.
	ResourceVersion string
}

// Of returns an object as it is seen now.
func Of(o metav1.Object) Seen {
	return Seen{types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}, o.GetUID(), o.GetResourceVersion()}
}

// Decision is approve or reject.
type Decision struct {
	// Subresource of the request that takes the decision.
	Subresource string
	// Done is what the request is then, and Effect what becomes of the run, both in words.
	Done, Effect string
}

// The decisions.
var (
	Approve = Decision{"approve", "approved", "lets the run go on"}
	Reject  = Decision{"reject", "rejected", "ends the run"}
)

// Decide sends a decision on a request with the reason. It returns what the request lacks then, in words, and nothing if it is decided. It returns a
// StaleError where the request is another one or has changed since it was seen.
func Decide(ctx context.Context, api placementclient.PlacementV1beta1Interface, decision Decision, request Seen, reason string) (missing string, err error) {
	body := &v1beta1.Approval{
		// What is decided is what was shown.
		ObjectMeta: metav1.ObjectMeta{Name: request.Name, UID: request.UID, ResourceVersion: request.ResourceVersion},
		Spec:       v1beta1.ApprovalSpec{Comment: reason},
	}
	answer := &v1beta1.Approval{}
	err = api.RESTClient().Post().NamespaceIfScoped(request.Namespace, request.Namespace != "").
		Resource(Requests.Resource(request.Namespace)).Name(request.Name).SubResource(decision.Subresource).Body(body).Do(ctx).Into(answer)
	return answer.Status.Missing, orStale(err, Requests.Name(request.NamespacedName), "decided")
}

// Operations are the subresources of a run that ask something of it.
var Operations = []string{"stop", "resume", "retry", "skip", "rollback"}

// Operate requests an operation on a run through the subresource of its name, with a reason. With dryRun the server reports whether it would accept it,
// and does nothing. It returns a StaleError where the run is another one, or has changed since it was seen.
func Operate(ctx context.Context, api placementclient.PlacementV1beta1Interface, subresource string, run Seen, spec v1beta1.UpdateRunOperationSpec, dryRun bool) error {
	body := &v1beta1.UpdateRunOperation{
		ObjectMeta: metav1.ObjectMeta{Name: run.Name, UID: run.UID, ResourceVersion: run.ResourceVersion},
		Spec:       spec,
	}
	create := metav1.CreateOptions{}
	if dryRun {
		create.DryRun = []string{metav1.DryRunAll}
	}
	err := api.RESTClient().Post().NamespaceIfScoped(run.Namespace, run.Namespace != "").Resource(Runs.Resource(run.Namespace)).Name(run.Name).
		SubResource(subresource).VersionedParams(&create, clientscheme.ParameterCodec).Body(body).Do(ctx).Error()
	return orStale(err, Runs.Name(run.NamespacedName), "done")
}

// Startable returns why a run cannot be started, nil if it can. One that is stopped is resumed, with a reason.
func Startable(run v1beta1.UpdateRunObject) error {
	name := Runs.Name(types.NamespacedName{Namespace: run.GetNamespace(), Name: run.GetName()})
	switch run.RunSpec().State {
	case v1beta1.StateInitialize:
		return nil
	case v1beta1.StateStop:
		return fmt.Errorf("%s is stopped: kubectl stagegate resume %s", name, name)
	}
	return fmt.Errorf("%s is started already", name)
}

// Start starts a run that was seen to be planned.
func Start(ctx context.Context, api placementclient.PlacementV1beta1Interface, run Seen) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": run.UID, "resourceVersion": run.ResourceVersion},
		"spec":     map[string]any{"state": v1beta1.StateRun},
	})
	if err != nil {
		return err
	}
	_, err = scoped.RunClient(api, run.Namespace).Patch(ctx, run.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return orStale(err, Runs.Name(run.NamespacedName), "done")
}

// StaleError is returned for a request about an object that is another one by now, or has changed since it was seen. Nothing was done.
type StaleError struct {
	object, done string
	err          error
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("%s has changed since it was read, and nothing was %s: look at it again (%v)", e.object, e.done, e.err)
}

// Unwrap returns the error of the server.
func (e *StaleError) Unwrap() error { return e.err }

// orStale returns a StaleError for a precondition that does not hold. A conflict for another reason is the server's answer.
func orStale(err error, object, done string) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Code != http.StatusConflict {
		return err
	}
	for _, sign := range []string{"in the precondition", "Precondition failed", "the object has been modified"} {
		if strings.Contains(err.Error(), sign) {
			return &StaleError{object, done, err}
		}
	}
	return err
}
