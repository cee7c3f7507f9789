// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package memberreport

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Bounds of the status of a Work. Sizes are in bytes.
const (
	// MaxMessage is how long the message of a condition may be.
	MaxMessage = 1 << 10
	// BriefMessage is how long a message may be that takes none of the room of its status.
	BriefMessage = 128
	// MaxDetails is how many drifts of one object may be told, and how many differences. MaxDetailsOfWork bounds both of all objects.
	MaxDetails       = 100
	MaxDetailsOfWork = 1000
	// MaxPath and MaxValue bound where a drift or a difference is, and what an object has there.
	MaxPath, MaxValue = 1 << 10, 256
	// MaxLeftObjects is how many objects may be told that are left, and MaxIdentifier how much identifies one.
	MaxLeftObjects, MaxIdentifier = 100, 1 << 10
	// MaxRoom is how much all may take that is more than each manifest needs: texts that are not brief, drifts, differences, and statuses of
	// objects.
	MaxRoom = 512 << 10

	// maxConditions is how many conditions a Work may have, and maxManifestConditions how many a manifest. The applier writes six and three.
	maxConditions, maxManifestConditions = 8, 4
	// freeCondition is how much of the type, reason and message of a condition takes no room, freeIdentifier how much of an identifier, which
	// is more than the names of an object can have together. detailRoom is what a drift or difference takes besides its texts.
	freeCondition, freeIdentifier, detailRoom = BriefMessage + 128, 1 << 10, 64
)

// SizeOf returns how many bytes identify an object.
func SizeOf(id *v1beta1.ResourceIdentifier) int {
	return len(id.Group) + len(id.Version) + len(id.Kind) + len(id.Namespace) + len(id.Name)
}

// RoomOf returns how much of MaxRoom a status takes, in bytes.
func RoomOf(status *v1beta1.WorkStatus) int {
	room := 0
	for i := range status.ManifestConditions {
		m := &status.ManifestConditions[i]
		id := &m.Identifier
		room += max(0, len(id.Group)+len(id.Version)+len(id.Kind)+len(id.Resource)+len(id.Namespace)+len(id.Name)-freeIdentifier)
		for j := range m.Conditions {
			c := &m.Conditions[j]
			room += max(0, len(c.Type)+len(c.Reason)+len(c.Message)-freeCondition)
		}
		for _, details := range [][]v1beta1.PatchDetail{driftsOf(m), diffsOf(m)} {
			for j := range details {
				room += detailRoom + len(details[j].Path) + len(details[j].ValueInMember) + len(details[j].ValueInHub)
			}
		}
		if m.BackReportedStatus != nil {
			room += len(m.BackReportedStatus.ObservedStatus.Raw)
		}
	}
	return room
}

// ValidateWorkStatus returns which bounds the status of a Work exceeds. What an earlier version has stored beyond a bound may stay, and
// shrink.
func ValidateWorkStatus(work, old *v1beta1.Work) field.ErrorList {
	is, was := measuresOf(&work.Status), measuresOf(&old.Status)
	is.manifests.bound = len(work.Spec.Workload.Manifests)
	return is.beyond(was)
}

// measure is the largest value that something has in a status, and where.
type measure struct {
	path         *field.Path
	value, bound int
	// what is counted.
	what string
}

func (m *measure) take(value int, path func() *field.Path) {
	if value > m.value {
		m.value = value
		// Paths are made for what is refused alone: there may be many thousand values.
		if value > m.bound {
			m.path = path()
		}
	}
}

// measures of a status.
type measures struct {
	manifests, conditions, manifestConditions, message, details, detailsOfWork, path, value, left, identifier, room measure
}

func (m *measures) all() []*measure {
	return []*measure{
		&m.manifests, &m.conditions, &m.manifestConditions, &m.message, &m.details, &m.detailsOfWork, &m.path, &m.value, &m.left, &m.identifier, &m.room,
	}
}

func measuresOf(status *v1beta1.WorkStatus) *measures {
	top := field.NewPath("status")
	manifests := top.Child("manifestConditions")
	m := &measures{
		manifests:          measure{path: manifests, value: len(status.ManifestConditions), what: "entries, one for each manifest"},
		conditions:         measure{path: top.Child("conditions"), value: len(status.Conditions), bound: maxConditions, what: "conditions"},
		manifestConditions: measure{bound: maxManifestConditions, what: "conditions"},
		message:            measure{bound: MaxMessage, what: "bytes"},
		details:            measure{bound: MaxDetails, what: "entries"},
		detailsOfWork:      measure{path: manifests, bound: MaxDetailsOfWork, what: "drifts and differences of all objects"},
		path:               measure{bound: MaxPath, what: "bytes"},
		value:              measure{bound: MaxValue, what: "bytes"},
		left:               measure{path: top.Child("leftObjects"), value: len(status.LeftObjects), bound: MaxLeftObjects, what: "objects that are left"},
		identifier:         measure{bound: MaxIdentifier, what: "bytes that identify an object"},
		room:               measure{path: manifests, value: RoomOf(status), bound: MaxRoom, what: "bytes of texts, drifts, differences and reported statuses"},
	}
	messages := func(conditions []metav1.Condition, path func() *field.Path) {
		for i := range conditions {
			m.message.take(len(conditions[i].Message), func() *field.Path { return path().Index(i).Child("message") })
		}
	}
	messages(status.Conditions, func() *field.Path { return m.conditions.path })
	for i := range status.LeftObjects {
		m.identifier.take(SizeOf(&status.LeftObjects[i]), func() *field.Path { return m.left.path.Index(i) })
	}
	for i := range status.ManifestConditions {
		c := &status.ManifestConditions[i]
		conditions := func() *field.Path { return manifests.Index(i).Child("conditions") }
		m.manifestConditions.take(len(c.Conditions), conditions)
		messages(c.Conditions, conditions)
		m.take(driftsOf(c), func() *field.Path { return manifests.Index(i).Child("driftDetails", "observedDrifts") })
		m.take(diffsOf(c), func() *field.Path { return manifests.Index(i).Child("diffDetails", "observedDiffs") })
	}
	return m
}

// take measures drifts or differences of an object.
func (m *measures) take(details []v1beta1.PatchDetail, path func() *field.Path) {
	m.details.take(len(details), path)
	m.detailsOfWork.value += len(details)
	for i := range details {
		d := &details[i]
		at := func(name string) func() *field.Path { return func() *field.Path { return path().Index(i).Child(name) } }
		m.path.take(len(d.Path), at("path"))
		m.value.take(len(d.ValueInMember), at("valueInMember"))
		m.value.take(len(d.ValueInHub), at("valueInHub"))
	}
}

// beyond returns what is beyond its bound and more than it was.
func (m *measures) beyond(was *measures) field.ErrorList {
	var errs field.ErrorList
	before := was.all()
	for i, is := range m.all() {
		if is.value > max(is.bound, before[i].value) {
			errs = append(errs, field.Invalid(is.path, is.value, fmt.Sprintf("a member may report at most %d %s", is.bound, is.what)))
		}
	}
	return errs
}

func driftsOf(m *v1beta1.ManifestCondition) []v1beta1.PatchDetail {
	if m.DriftDetails == nil {
		return nil
	}
	return m.DriftDetails.ObservedDrifts
}

func diffsOf(m *v1beta1.ManifestCondition) []v1beta1.PatchDetail {
	if m.DiffDetails == nil {
		return nil
	}
	return m.DiffDetails.ObservedDiffs
}
