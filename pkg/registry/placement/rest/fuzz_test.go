// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"testing"

	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

func FuzzWrites(f *testing.F) { storetest.FuzzWrites(f, Table(), sample) }
