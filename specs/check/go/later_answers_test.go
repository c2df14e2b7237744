// What a later version of the service may answer: more fields, words that are not listed, more money than 32 bits hold.
package checkspecs

import (
	"encoding/json"
	"testing"

	"giftcert/check-specs/client"
)

const refundCase = `{"refundCaseId": "01936f90-1c20-7b3a-9e2f-2a3b4c5d6e7f", "refundId": null, "orderId": "IM-1001",
 "lineId": "2", "state": "pendingDetails", "reason": "wordOfALaterVersion", "since": null, "addedLater": [1],
 "amount": {"amount": 5000000000, "currency": "RUB", "addedLater": {}}}`

const awaitingSecond = `{"outcome": "awaitingSecond", "refundCaseId": "01936f90-1c20-7b3a-9e2f-2a3b4c5d6e7f",
 "certificateId": "01936f8e-5a00-7c3e-9d4b-0a1b2c3d4e5f", "awaitingSecond": true, "decision": "approve",
 "amount": 5000000000, "addedLater": 1}`

func TestALaterAnswerIsRead(t *testing.T) {
	var found client.RefundCaseView
	if err := json.Unmarshal([]byte(refundCase), &found); err != nil {
		t.Fatal(err)
	}
	if found.Amount.Amount != 5_000_000_000 || found.Reason == nil || *found.Reason != "wordOfALaterVersion" {
		t.Fatalf("read %+v", found)
	}
}

func TestTheUnionTellsItsMembersApart(t *testing.T) {
	var answer client.ResolutionAnswer
	if err := json.Unmarshal([]byte(awaitingSecond), &answer); err != nil {
		t.Fatal(err)
	}
	value, err := answer.ValueByDiscriminator()
	if err != nil {
		t.Fatal(err)
	}
	if awaits, is := value.(client.AwaitingSecond); !is || *awaits.Amount != 5_000_000_000 {
		t.Fatalf("read %T", value)
	}
}
