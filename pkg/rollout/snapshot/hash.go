// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// contents are the items as the API has them.
func contents(items []*item) []v1beta1.ResourceContent {
	list := make([]v1beta1.ResourceContent, 0, len(items))
	for _, i := range items {
		list = append(list, v1beta1.ResourceContent{RawExtension: runtime.RawExtension{Raw: i.raw}})
	}
	return list
}

// earlierHashOf is the hash that KubeFleet and earlier versions give to the items, "" where it is the same.
func earlierHashOf(items []*item) (string, error) {
	differs := false
	list := contents(items)
	for i, item := range items {
		if len(item.earlier) > 0 {
			list[i].Raw, differs = item.earlier, true
		}
	}
	if !differs {
		return "", nil
	}
	return hashOf(v1beta1.ResourceSnapshotSpec{SelectedResources: list})
}

// hashOf is the hash that snapshots carry: of the JSON of a resource snapshot's spec with everything selected, or of a policy.
func hashOf(value any) (string, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("encoding for the hash: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:]), nil
}
