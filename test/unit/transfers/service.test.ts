import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReportTransferRequest, TransferState } from '#src/gen/weightcast/transfers.js';
import { faultOf } from '#src/metadata/transfers/service.js';
import { longestText, textFields } from '#src/metadata/transfers/transfer.js';
import { report } from '../../support/transfer-reports.js';

test('a whole report is taken', () => {
  assert.equal(faultOf(report({ modelName: 'Qwen/Qwen2.5-7B', error: 'ERR_PEER_LOST: gone' })), undefined);
});

for (const transferId of ['', '123', 'x'.repeat(16), 'A'.repeat(16), `${'a'.repeat(16)}\n`, 'a'.repeat(17), 'a'.repeat(1e6)]) {
  test(`transfer_id ${JSON.stringify(transferId.slice(0, 20))} (${String(transferId.length)}) is refused`, () => {
    const fault = faultOf(report({ transferId }));
    assert.match(fault ?? '', /^expected 16 lower-case hex digits for transfer_id but received "/);
    assert.ok((fault ?? '').length < 200);
  });
}

test('a state that is none of the three is refused', () => {
  assert.match(faultOf(report({ state: TransferState.TRANSFER_STATE_UNKNOWN })) ?? '', /RUNNING, DONE or FAILED for state but received 0/);
  const later = ReportTransferRequest.decode(Uint8Array.of(0x38, 9));
  assert.match(faultOf(report({ state: later.state })) ?? '', /received 9/);
});

for (const field of textFields) {
  test(`${field} may be ${String(longestText[field])} characters long, and not one more`, () => {
    const longest = longestText[field];
    assert.equal(faultOf(report({ [field]: 'é'.repeat(longest) })), undefined);
    const fault = faultOf(report({ [field]: 'é'.repeat(longest + 1) })) ?? '';
    assert.match(fault, new RegExp(`^[a-z_]+ is ${String(longest + 1)} characters long`));
  });
}
