package check;

import org.openapitools.client.JSON;
import org.openapitools.client.model.AwaitingSecond;
import org.openapitools.client.model.RefundCaseView;
import org.openapitools.client.model.ResolutionAnswer;

/** What a later version may answer: more fields, words that are not listed, more money than 32 bits hold. */
public final class ReadsLaterAnswers {
    private static final String REFUND_CASE = """
        {"refundCaseId": "01936f90-1c20-7b3a-9e2f-2a3b4c5d6e7f", "refundId": null, "orderId": "IM-1001",
         "lineId": "2", "state": "pendingDetails", "reason": "wordOfALaterVersion", "since": null, "addedLater": [1],
         "amount": {"amount": 5000000000, "currency": "RUB", "addedLater": {}}}""";
    private static final String AWAITING_SECOND = """
        {"outcome": "awaitingSecond", "refundCaseId": "01936f90-1c20-7b3a-9e2f-2a3b4c5d6e7f",
         "certificateId": "01936f8e-5a00-7c3e-9d4b-0a1b2c3d4e5f", "awaitingSecond": true, "decision": "approve",
         "amount": 5000000000, "addedLater": 1}""";

    private ReadsLaterAnswers() {
    }

    public static void main(String[] arguments) throws Exception {
        new JSON();
        RefundCaseView found = RefundCaseView.fromJson(REFUND_CASE);
        require(found.getAmount().getAmount() == 5_000_000_000L, "the amount");
        require("wordOfALaterVersion".equals(found.getReason()), "the reason");
        Object answer = ResolutionAnswer.fromJson(AWAITING_SECOND).getActualInstance();
        require(answer instanceof AwaitingSecond, "which answer it is");
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException("read wrongly: " + what);
        }
    }
}
