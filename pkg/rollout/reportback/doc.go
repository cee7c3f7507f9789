// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reportback is the controller that writes the status which a member's object has to the object of the hub that was placed, for
// placements with reportBackStrategy OriginalResource. It takes statuses from Works, and reads and writes the objects of the hub by
// itself. It writes nothing but statuses there, never where somebody else writes one, and takes none away.
package reportback
