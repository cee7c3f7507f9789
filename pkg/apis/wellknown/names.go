// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package wellknown

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// MemberNamespace is the namespace of a member on the hub.
func MemberNamespace(cluster string) string { return MemberNamespacePrefix + cluster }

// MemberOfNamespace is the member whose namespace it is, or false for another namespace.
func MemberOfNamespace(namespace string) (string, bool) {
	return strings.CutPrefix(namespace, MemberNamespacePrefix)
}

// SilentHeartbeats is after how many heartbeat periods without a heartbeat an agent counts as silent: on the hub, and for itself.
const SilentHeartbeats = 3

// IsPulled reports whether the annotations of a MemberCluster, or of its InternalMemberCluster, have an agent serve the member.
func IsPulled(annotations map[string]string) bool {
	return annotations[DeliveryAnnotation] == DeliveryPull
}

// IsReservedNamespace reports whether a namespace belongs to clusters themselves or to the fleet: default, and those that begin with kube-
// or fleet-. No placement takes such a Namespace or anything in it.
func IsReservedNamespace(namespace string) bool {
	return namespace == "default" || strings.HasPrefix(namespace, "kube-") || strings.HasPrefix(namespace, "fleet-")
}

// MemberSecretName is the Secret in the system namespace that holds a member's kubeconfig.
func MemberSecretName(cluster string) string { return memberSecretPrefix + cluster }

// IsMemberSecretName reports whether a Secret in the system namespace is that of a member by its name, whether or not there is such a member.
func IsMemberSecretName(name string) bool { return strings.HasPrefix(name, memberSecretPrefix) }

const memberSecretPrefix = "member-"

// MemberKubeconfigKey is the key of a member's Secret that holds the kubeconfig.
const MemberKubeconfigKey = "kubeconfig"

// ServerName is the name of the server: of its ServiceAccount on the hub and of the Lease of the replica whose controllers run, both in the system
// namespace.
const ServerName = "stagegate-apiserver"

// ResourceSnapshotName is the master resource snapshot of a placement at an index, which labels and statuses have as text.
func ResourceSnapshotName[Index int | string](placement string, index Index) string {
	return fmt.Sprintf("%s-%v-snapshot", placement, index)
}

// ResourceSnapshotIndex returns the index of the master resource snapshot of a name, and false where the name is that of no resource
// snapshot of the placement.
func ResourceSnapshotIndex(placement, name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, placement+"-")
	if !ok {
		return 0, false
	}
	if rest, ok = strings.CutSuffix(rest, "-snapshot"); !ok {
		return 0, false
	}
	index, err := strconv.ParseUint(rest, 10, 31)
	return int(index), err == nil && ResourceSnapshotName(placement, int(index)) == name
}

// ResourceSnapshotPartName is a part of a resource snapshot that did not fit into the master.
func ResourceSnapshotPartName(placement string, index, subindex int) string {
	return placement + "-" + strconv.Itoa(index) + "-" + strconv.Itoa(subindex)
}

// PolicySnapshotName is the policy snapshot of a placement at an index.
func PolicySnapshotName(placement string, index int) string {
	return placement + "-" + strconv.Itoa(index)
}

// OverrideSnapshotName is the version of an override at an index.
func OverrideSnapshotName(override string, index int) string {
	return override + "-" + strconv.Itoa(index)
}

// maxRunName is how long the name of a run may be.
const maxRunName = 63

// RollbackName is a name for the run that rolls another back, of which it takes name and uid. Without a salt it is one that nobody else gives by accident, and the same
// at each look; who gives it on purpose leaves those with a salt.
func RollbackName(run, uid, salt string) string {
	h := fnv.New32a()
	h.Write([]byte(uid))
	h.Write([]byte(salt))
	suffix := fmt.Sprintf("-rollback-%05x", h.Sum32()&0xfffff)
	return strings.TrimRight(run[:min(len(run), maxRunName-len(suffix))], ".-") + suffix
}

// BeforeStageApprovalName is the approval request before a stage.
func BeforeStageApprovalName(run, stage string) string { return run + "-before-" + StageAlias(stage) }

// AfterStageApprovalName is the approval request after a stage.
func AfterStageApprovalName(run, stage string) string { return run + "-after-" + StageAlias(stage) }

// StageAlias is a stage in names of objects and in values of labels: its name, but for the last stage of every run.
func StageAlias(stage string) string {
	if stage == DeleteStageName {
		return DeleteStageAlias
	}
	return stage
}

// firstWorkPart ends the name of the Work that every version of a placement has.
const firstWorkPart = "work"

// What WorkPart returns for Works that have no part of a resource snapshot to themselves. Parts are counted from 0.
const (
	// FirstWork is the Work that every version of a placement has.
	FirstWork = -1
	// EnvelopeWork is any Work with what an envelope carries.
	EnvelopeWork = -2
)

// envelopeInfix comes before the hash of an envelope in the name of its Work.
const envelopeInfix = "-envelope-"

// WorkName is the name of a new Work of a placement; namespace is empty for a cluster-scoped one. The first Work has no part, the others
// have the number of their part of the resource snapshot, or what EnvelopePart returns. No Work of another placement has the name.
func WorkName(namespace, placement, part string) string {
	return UpstreamWorkName(namespace, placement, part) + workNameSuffix(namespace, placement)
}

// UpstreamWorkName is the name that other implementations and earlier versions give a Work. It is another than WorkName for a
// cluster-scoped placement with a dot in its name alone: what comes before the dot may be a namespace, in which a placement is called what
// comes after it. Works that have such a name keep it.
func UpstreamWorkName(namespace, placement, part string) string {
	if part == "" {
		part = firstWorkPart
	}
	return workNamePrefix(namespace, placement) + part
}

// EnvelopePart stands for an envelope in the name of its Work, whichever part of the resource snapshot has it. Kind is that of the envelope,
// and namespace is empty for a cluster-scoped one. Other implementations name the Work of an envelope in the first part so.
func EnvelopePart(kind, namespace, name string) string {
	sum := sha256.Sum256([]byte(kind + "/" + namespace + "/" + name))
	return firstWorkPart + envelopeInfix + hex.EncodeToString(sum[:8])
}

// WorkPart is the number of the part that a Work of the name holds, FirstWork or EnvelopeWork for the others, and false where the name is
// not that of a Work of the placement, by either way to name them.
func WorkPart(namespace, placement, name string) (int, bool) {
	part, ok := cutWorkName(namespace, placement, name)
	if !ok {
		return 0, false
	}
	if within, hash, found := strings.Cut(part, envelopeInfix); found {
		_, ok := workPart(within)
		return EnvelopeWork, ok && isEnvelopeHash(hash)
	}
	return workPart(part)
}

// EnvelopeHash is what tells the Work of an envelope from the others of a placement, empty for a Work that is none.
func EnvelopeHash(namespace, placement, name string) string {
	if part, ok := WorkPart(namespace, placement, name); !ok || part != EnvelopeWork {
		return ""
	}
	part, _ := cutWorkName(namespace, placement, name)
	_, hash, _ := strings.Cut(part, envelopeInfix)
	return hash
}

func workPart(part string) (int, bool) {
	if part == firstWorkPart {
		return FirstWork, true
	}
	number, err := strconv.ParseUint(part, 10, 31)
	return int(number), err == nil && strconv.FormatUint(number, 10) == part
}

func isEnvelopeHash(hash string) bool {
	return len(hash) == 16 && strings.Trim(hash, "0123456789abcdef") == ""
}

// cutWorkName is what the name of a Work says after the placement.
func cutWorkName(namespace, placement, name string) (part string, ok bool) {
	part, ok = strings.CutPrefix(name, workNamePrefix(namespace, placement))
	return strings.TrimSuffix(part, workNameSuffix(namespace, placement)), ok
}

func workNamePrefix(namespace, placement string) string {
	if namespace == "" {
		return placement + "-"
	}
	return namespace + "." + placement + "-"
}

// workNameSuffix ends names that end in the number of a part, in firstWorkPart or in the hash of an envelope otherwise, as those of
// namespaced placements do.
func workNameSuffix(namespace, placement string) string {
	if namespace == "" && strings.Contains(placement, ".") {
		return "-cluster"
	}
	return ""
}
