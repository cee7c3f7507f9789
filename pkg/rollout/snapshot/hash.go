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

// hashOf is the hash that snapshots carry: of the JSON of a resource snapshot's spec with everything selected, or of a policy.
func hashOf(value any) (string, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("encoding for the hash: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:]), nil
}
