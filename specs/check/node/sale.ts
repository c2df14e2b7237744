// A whole sale by generated types: reserve, order, pay, fetch the CVC, spend, return, decide the refund.
import { randomUUID } from 'node:crypto'
import createClient from 'openapi-fetch'
import { Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import type { components, paths } from './generated/api.js'
import type { Envelope } from './generated/envelope.js'
import type { OrderCreated } from './generated/order.created.js'
import type { OrderReturned } from './generated/order.returned.js'
import type { PaymentCaptured } from './generated/payment.captured.js'
import type { PaymentRefunded } from './generated/payment.refunded.js'

const { API, KAFKA, CHANNEL_TOKEN, CRM_TOKEN } = process.env as Record<string, string>
const PRICE = 500_000 // 5,000.00 RUB in kopecks
const SPENT = 120_000

const clientWith = (token?: string) =>
  createClient<paths>({ baseUrl: API, headers: { Authorization: `Bearer ${token}` } })
const store = clientWith(CHANNEL_TOKEN)
const crm = clientWith(CRM_TOKEN)

/** The data of an answer; a problem ends the sale with what it asks its reader to do. */
const dataOf = <T>(answer: { data?: T; error?: components['schemas']['ProblemView'] }): T => {
  if (answer.data !== undefined) return answer.data
  throw new Error(`${answer.error?.type}: ${answer.error?.detail}`)
}

const expect = (condition: boolean, what: string) => {
  if (!condition) throw new Error(`not so: ${what}`)
  console.log(what)
}

const keyed = () => ({ 'Idempotency-Key': randomUUID() })

// The stream: what has been seen by eventId, and who waits for which type.
const seen = new Map<string, Envelope>()
const waiting = new Set<() => void>()
const bootstrapBrokers = [KAFKA!]
const consumer = new Consumer({
  groupId: `check-specs-${randomUUID()}`,
  clientId: 'check-specs',
  bootstrapBrokers,
  deserializers: stringDeserializers,
})
const stream = await consumer.consume({ topics: ['GiftCertificates.Stream'], mode: 'earliest', autocommit: false })
stream.on('data', ({ value }) => {
  const event = JSON.parse(value) as Envelope
  seen.set(event.eventId, event)
  waiting.forEach((look) => look())
})

/** The certificate's event of a type, once it is on the stream. */
const eventOf = <T extends Envelope['eventType']>(certificateId: string, type: T) =>
  new Promise<Extract<Envelope, { eventType: T }>>((found, failed) => {
    const over = setTimeout(() => failed(new Error(`no ${type} within 30 s`)), 30_000)
    const look = () => {
      for (const event of seen.values()) {
        if (event.certificateId !== certificateId || event.eventType !== type) continue
        clearTimeout(over)
        waiting.delete(look)
        found(event as Extract<Envelope, { eventType: T }>)
      }
    }
    waiting.add(look)
    look()
  })

const producer = new Producer({ clientId: 'check-specs', bootstrapBrokers, serializers: stringSerializers })
const send = (message: OrderCreated | OrderReturned | PaymentCaptured | PaymentRefunded) => {
  const topic = message.eventType.startsWith('order.') ? 'All_SalesOrder' : 'All_Payments'
  return producer.send({ messages: [{ topic, key: message.orderId, value: JSON.stringify(message) }] })
}
const orderId = `TS-${randomUUID()}`
const now = () => ({ eventId: randomUUID(), occurredAt: new Date().toISOString(), channel: 'im' })

const products = dataOf(await store.GET('/products'))
expect(products.some(({ nominal }) => nominal?.amount === PRICE), 'a product of 5,000.00 is on sale')

const header = keyed()
const reserve = () =>
  store.GET('/certificates/next', { params: { query: { channel: 'im', product: 'GC-5000' }, header } })
const reserved = dataOf(await reserve())
const repeat = await reserve()
expect(
  dataOf(repeat).reservationId === reserved.reservationId && repeat.response.headers.get('Idempotency-Hit') === 'true',
  'a repeat under the same key gets the same reservation',
)

const { certificateId, reservationId } = reserved
await send({
  ...now(),
  eventType: 'order.created',
  orderId,
  orderVersion: 1,
  customerId: 'C-77',
  currency: 'RUB',
  total: PRICE,
  lines: [{ lineId: '1', kind: 'giftCertificate', certificateId, reservationId, amount: PRICE }],
})
const paid = { paymentId: `P-${orderId}`, tender: 'card', amount: PRICE, currency: 'RUB' }
await send({ ...now(), eventType: 'payment.captured', orderId, ...paid })
const issued = await eventOf(certificateId, 'issue.completed')
expect(issued.payload.amount.amount === PRICE, 'issue.completed says the price')

const { payload: notification } = await eventOf(certificateId, 'notification.requested')
const path = { certificateId }
const query = { purpose: 'notification' as const, notificationId: notification.notificationId }
const { number, cvc } = dataOf(await crm.GET('/certificates/{certificateId}/cvc', { params: { path, query } }))
expect(/^\d{16}$/.test(number) && /^\d{6}$/.test(cvc), 'CRM fetches number and CVC')

const held = dataOf(
  await store.POST('/redemptions', {
    params: { header: keyed() },
    body: { channel: 'im', number, cvc, amount: { amount: SPENT, currency: 'RUB' }, orderId: `${orderId}-2` },
  }),
)
expect(held.status === 'authorized' && held.balance.amount === PRICE - SPENT, 'a purchase holds 1,200.00')
const { redemptionId } = held
await send({
  ...now(),
  eventType: 'payment.captured',
  orderId: `${orderId}-2`,
  ...{ paymentId: `P-${orderId}-2`, tender: 'giftCertificate', amount: SPENT, currency: 'RUB' },
  certificateId,
  redemptionId,
})
const spent = await eventOf(certificateId, 'redemption.captured')
expect(spent.status === 'partiallyRedeemed', 'redemption.captured leaves the rest to spend')

await send({ ...now(), eventType: 'order.returned', orderId, orderVersion: 2, lines: [{ lineId: '1' }] })
await send({ ...now(), eventType: 'payment.refunded', orderId, ...paid, refundId: `R-${orderId}` })
const pending = await eventOf(certificateId, 'refund.pendingDetails')
expect(pending.payload.reason === 'certificateRedeemed', 'a refund of what was partly spent waits for a person')

const { refundCaseId } = pending.payload
const answer = dataOf(
  await crm.POST('/refunds/{refundCaseId}/resolution', {
    params: { path: { refundCaseId }, header: keyed() },
    body: { decision: 'approve', note: 'agreed with the buyer' },
  }),
)
switch (answer.outcome) {
  case 'awaitingSecond':
    throw new Error('another person would have to agree')
  case 'decided':
    expect(answer.taken.amount === PRICE - SPENT && answer.uncovered.amount === SPENT, 'CRM approves: the rest is taken')
}
await eventOf(certificateId, 'refund.completed')

const unknown = await crm.GET('/certificates/{certificateId}', { params: { path: { certificateId: randomUUID() } } })
expect(unknown.error?.type === '/problems/unknown-certificate', 'a problem is told by its type')

await Promise.all([stream.close(), producer.close()])
await consumer.close()
