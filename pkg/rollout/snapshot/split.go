// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"

// maxPartBytes keeps each snapshot object below what an API server takes, with room for what surrounds the content.
const maxPartBytes = 800 << 10

// split packs content in its order into parts of at most so many bytes. An object that is larger has a part of its own. There is at
// least one part.
func split(all []v1beta1.ResourceContent, limit int) [][]v1beta1.ResourceContent {
	var parts [][]v1beta1.ResourceContent
	part, size := []v1beta1.ResourceContent{}, 0
	for _, content := range all {
		if len(part) > 0 && size+len(content.Raw) > limit {
			parts = append(parts, part)
			part, size = nil, 0
		}
		part = append(part, content)
		size += len(content.Raw)
	}
	return append(parts, part)
}
