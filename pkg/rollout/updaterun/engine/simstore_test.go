// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// object is anything that is stored.
type object interface {
	metav1.Object
	runtime.Object
}

// simKind is what a cache is of.
type simKind int

const (
	simRuns simKind = iota
	simBindings
	simApprovals
	simKinds
)

// change is one entry of a kind's history. A nil object is a deletion.
type change struct {
	name string
	obj  object
}

// simStore is an API server: objects with resource versions, generations and a history to watch. Objects in it are never changed.
type simStore struct {
	now     time.Time
	version int64
	uids    int
	objects [simKinds]map[string]object
	history [simKinds][]change

	placement v1beta1.PlacementObject
	members   map[string]bool
}

func newSimStore(now time.Time) *simStore {
	s := &simStore{now: now, members: map[string]bool{}}
	for k := range s.objects {
		s.objects[k] = map[string]object{}
	}
	return s
}

func (s *simStore) create(k simKind, obj object) error {
	if _, ok := s.objects[k][obj.GetName()]; ok {
		return apierrors.NewAlreadyExists(v1beta1.Resource(""), obj.GetName())
	}
	s.uids++
	obj.SetUID(types.UID(fmt.Sprintf("uid-%04d", s.uids)))
	obj.SetGeneration(1)
	obj.SetCreationTimestamp(metav1.NewTime(s.now.Truncate(time.Second)))
	s.put(k, obj)
	return nil
}

// update stores a changed copy if nobody wrote since the version given, "" for whatever there is.
func (s *simStore) update(k simKind, name, version string, f func(object)) (object, error) {
	old, ok := s.objects[k][name]
	if !ok {
		return nil, apierrors.NewNotFound(v1beta1.Resource(""), name)
	}
	if version != "" && version != old.GetResourceVersion() {
		return nil, apierrors.NewConflict(v1beta1.Resource(""), name, nil)
	}
	obj := old.DeepCopyObject().(object)
	f(obj)
	s.put(k, obj)
	return obj, nil
}

func (s *simStore) put(k simKind, obj object) {
	s.version++
	obj.SetResourceVersion(strconv.FormatInt(s.version, 10))
	s.objects[k][obj.GetName()] = obj
	s.history[k] = append(s.history[k], change{obj.GetName(), obj})
}

func (s *simStore) remove(k simKind, name string) {
	delete(s.objects[k], name)
	s.history[k] = append(s.history[k], change{name: name})
}

// delete marks an object as going.
func (s *simStore) delete(k simKind, name, version string) error {
	_, err := s.update(k, name, version, func(o object) {
		now := metav1.NewTime(s.now)
		o.SetDeletionTimestamp(&now)
	})
	return err
}

func (s *simStore) runs() []v1beta1.UpdateRunObject {
	return list[v1beta1.UpdateRunObject](s.objects[simRuns])
}

func (s *simStore) bindings() []v1beta1.BindingObject {
	return list[v1beta1.BindingObject](s.objects[simBindings])
}

func (s *simStore) approvals() []v1beta1.ApprovalRequestObject {
	return list[v1beta1.ApprovalRequestObject](s.objects[simApprovals])
}

func list[O object](objects map[string]object) []O {
	var found []O
	for _, name := range sortedKeys(objects) {
		found = append(found, objects[name].(O))
	}
	return found
}

// setBindingCondition is what the controllers behind the bindings do.
func (s *simStore) setBindingCondition(name, conditionType string, status metav1.ConditionStatus, reason string) {
	_, _ = s.update(simBindings, name, "", func(o object) {
		b := o.(v1beta1.BindingObject)
		meta.SetStatusCondition(&b.BindingStatus().Conditions, metav1.Condition{
			Type: conditionType, Status: status, Reason: reason, ObservedGeneration: b.GetGeneration(), LastTransitionTime: metav1.NewTime(s.now),
		})
		// A member tells of Works that are written.
		if conditionType != v1beta1.BindingRolloutStarted {
			bindingrules.RecordSynchronized(b.BindingStatus(), b.BindingSpec())
		}
	})
}
