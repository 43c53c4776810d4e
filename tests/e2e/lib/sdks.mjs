// The three official SDKs behind one shape, so that a case is written once:
//   client(url, key, options) → { stream(model), whole(model), tool(model), models() }
//   stream → async iterator of text parts, with abort(); whole → {text, usage}
//   errors: predicates that say whether the SDK raised its own right class
import { require } from './paths.mjs'

const OpenAI = require('openai')
const Anthropic = require('@anthropic-ai/sdk')
const { GoogleGenAI, ApiError } = require('@google/genai')

const PROMPT = 'Say hello to the world, and to all who live in it: 你好, здравствуй, 🙂.'

const TOOL_SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string', description: 'Where? "Paris", say.' } },
  required: ['city'],
}

function openai(url, key, options = {}) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, ...options })
  const messages = [{ role: 'user', content: PROMPT }]
  return {
    async * stream(model, { signal, more = {} } = {}) {
      const chunks = await client.chat.completions.create({ model, messages, stream: true, ...more }, { signal })
      for await (const chunk of chunks) {
        const text = chunk.choices[0]?.delta?.content
        if (text) yield text
      }
    },
    async whole(model, more = {}) {
      const answer = await client.chat.completions.create({ model, messages, ...more })
      return { text: answer.choices[0].message.content, id: answer.id }
    },
    async tool(model) {
      const answer = await client.chat.completions.create({
        model, messages, tools: [{ type: 'function', function: { name: 'lookup', description: 'Looks up', parameters: TOOL_SCHEMA } }],
      })
      const call = answer.choices[0].message.tool_calls[0].function
      return { name: call.name, arguments: JSON.parse(call.arguments) }
    },
    async models() { return (await client.models.list()).data.map(model => model.id) },
    raw: client,
  }
}

function claude(url, key, options = {}) {
  const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, ...options })
  const messages = [{ role: 'user', content: PROMPT }]
  return {
    async * stream(model, { signal, more = {} } = {}) {
      const events = await client.messages.create({ model, max_tokens: 4096, messages, stream: true, ...more }, { signal })
      for await (const event of events) {
        if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') yield event.delta.text
      }
    },
    async whole(model, more = {}) {
      const answer = await client.messages.create({ model, max_tokens: 4096, messages, ...more })
      return { text: answer.content[0].text, id: answer.id }
    },
    async tool(model) {
      const answer = await client.messages.create({
        model, max_tokens: 4096, messages, tools: [{ name: 'lookup', description: 'Looks up', input_schema: TOOL_SCHEMA }],
      })
      const call = answer.content.find(block => block.type === 'tool_use')
      return { name: call.name, arguments: call.input }
    },
    async models() { return (await client.models.list()).data.map(model => model.id) },
    raw: client,
  }
}

function gemini(url, key, options = {}) {
  const client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url, ...options } })
  const contents = [{ role: 'user', parts: [{ text: PROMPT }] }]
  return {
    async * stream(model, { signal } = {}) {
      const chunks = await client.models.generateContentStream({ model, contents, config: { abortSignal: signal } })
      for await (const chunk of chunks) if (chunk.text) yield chunk.text
    },
    async whole(model) {
      const answer = await client.models.generateContent({ model, contents })
      return { text: answer.text, id: answer.responseId }
    },
    async tool(model) {
      const answer = await client.models.generateContent({
        model, contents,
        config: { tools: [{ functionDeclarations: [{ name: 'lookup', description: 'Looks up', parametersJsonSchema: TOOL_SCHEMA }] }] },
      })
      const call = answer.functionCalls[0]
      return { name: call.name, arguments: call.args }
    },
    async models() {
      const names = []
      for await (const model of await client.models.list()) names.push(model.name.replace(/^models\//, ''))
      return names
    },
    raw: client,
  }
}

const geminiError = status => error => error instanceof ApiError && error.status === status

/** The SDKs, each with how it must report a refusal. */
export const sdks = [
  {
    name: 'openai', connect: openai, call: 'chat', events: true,
    errors: {
      wrongKey: error => error instanceof OpenAI.AuthenticationError && error.code === 'invalid_api_key',
      unknownModel: error => error instanceof OpenAI.NotFoundError && error.code === 'model_not_found',
      noFunds: error => error instanceof OpenAI.RateLimitError && error.code === 'insufficient_quota',
      budget: error => error instanceof OpenAI.APIError && (error.code === 'insufficient_quota' || error.type === 'insufficient_quota'),
      rate: error => error instanceof OpenAI.RateLimitError,
      server: error => error instanceof OpenAI.InternalServerError,
      bad: error => error instanceof OpenAI.BadRequestError,
    },
  },
  {
    name: 'claude', connect: claude, call: 'messages', events: true,
    errors: {
      wrongKey: error => error instanceof Anthropic.AuthenticationError && error.error.error.type === 'authentication_error',
      unknownModel: error => error instanceof Anthropic.NotFoundError && error.error.error.type === 'not_found_error',
      noFunds: error => error instanceof Anthropic.APIError && error.status === 402 && error.error.error.type === 'billing_error',
      budget: error => error instanceof Anthropic.APIError && /billing_error|insufficient_quota/.test(JSON.stringify(error.error) + error.message),
      rate: error => error instanceof Anthropic.RateLimitError,
      server: error => error instanceof Anthropic.InternalServerError,
      bad: error => error instanceof Anthropic.BadRequestError,
    },
  },
  {
    name: 'gemini', connect: gemini, call: 'gemini_generate',
    errors: {
      wrongKey: geminiError(401),
      unknownModel: geminiError(404),
      noFunds: geminiError(429),
      budget: error => error instanceof Error && /RESOURCE_EXHAUSTED/.test(error.message),
      rate: geminiError(429),
      server: error => error instanceof ApiError && error.status >= 500,
      bad: geminiError(400),
    },
  },
]

export { OpenAI, Anthropic, PROMPT }
