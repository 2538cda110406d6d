package org.apache.spark.streaming.perf

import java.nio.file.{Files, Paths}

import scala.io.StdIn

/** What a result amounts to; the same as in `src/digest.rs`. */
final case class Digest(count: Long, sum: Long) {
  def +(other: Digest): Digest = Digest(count + other.count, sum + other.sum)
  def key(key: Long, value: Long): Digest = Digest(count + 1, sum + Digest.mix(key) * value)
  def word(word: String, value: Long): Digest =
    Digest(count + 1, sum + Digest.hash(word.getBytes("UTF-8")) * value)
}

object Digest {
  val zero: Digest = Digest(0, 0)

  def mix(x: Long): Long = {
    var z = x + 0x9e3779b97f4a7c15L
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL
    z ^ (z >>> 31)
  }

  /** Of the length, then of 8 bytes at a time in little-endian order. */
  def hash(text: Array[Byte]): Long = {
    var hash = text.length.toLong
    var at = 0
    while (at + 8 <= text.length) {
      hash = mix(hash ^ chunk(text, at, 8))
      at += 8
    }
    mix(hash ^ chunk(text, at, text.length - at))
  }

  private def chunk(text: Array[Byte], at: Int, length: Int): Long = {
    var chunk = 0L
    var i = 0
    while (i < length) {
      chunk |= (text(at + i) & 0xffL) << (8 * i)
      i += 1
    }
    chunk
  }
}

/** The names of a line with their values. */
final class Words(pairs: Map[String, String]) {
  def get(name: String): Option[String] = pairs.get(name)
  def text(name: String): String =
    pairs.getOrElse(name, throw new IllegalArgumentException(s"$name is missing"))
  def int(name: String): Int = text(name).toInt
}

object Words {
  def parse(line: String): (String, Words) = {
    val words = line.trim.split("\\s+")
    val pairs = words.tail.map { word =>
      val at = word.indexOf('=')
      word.substring(0, at) -> word.substring(at + 1)
    }
    (words.head, new Words(pairs.toMap))
  }
}

/** What an engine did. */
final case class Done(nanos: Long, digest: Digest, facts: String = "")

/** A program that was prepared. */
trait Engine {
  def run(order: Words): Done
}

/** Spark as an engine; the protocol is told in `src/protocol.rs`. */
object Main {
  def main(args: Array[String]): Unit = {
    // Answers go here; what Spark prints goes to standard error.
    val answers = System.out
    System.setOut(System.err)
    var engine: Option[Engine] = None
    Iterator.continually(StdIn.readLine()).takeWhile(_ != null).foreach { line =>
      val answer =
        try obey(line, engine, prepared => engine = Some(prepared))
        catch {
          case error: Throwable =>
            error.printStackTrace()
            s"error ${error.toString.replace('\n', ' ')}"
        }
      answers.println(answer)
      answers.flush()
    }
    org.apache.spark.util.Utils.deleteRecursively(new java.io.File(Settings.folder))
    // Threads of Spark would keep the process.
    Runtime.getRuntime.halt(0)
  }

  private def obey(line: String, engine: Option[Engine], keep: Engine => Unit): String =
    Words.parse(line) match {
      case ("prepare", order) =>
        keep(Programs.prepare(order))
        s"ready version=${org.apache.spark.SPARK_VERSION}"
      case ("run", order) =>
        val Done(nanos, digest, facts) = engine.get.run(order)
        val sum = java.lang.Long.toUnsignedString(digest.sum)
        s"done nanos=$nanos count=${digest.count} sum=$sum $facts".trim
      case (verb, _) => throw new IllegalArgumentException(s"$verb is neither prepare nor run")
    }
}

/** The inputs; told in `src/input.rs`. */
object Input {
  def lines(order: Words): Array[String] =
    new String(Files.readAllBytes(Paths.get(order.text("input"))), "UTF-8").split('\n')

  /** Batches of keys with values. */
  def batches(order: Words, value: Int => Long): IndexedSeq[Array[(Long, Long)]] = {
    val bytes = java.nio.ByteBuffer
      .wrap(Files.readAllBytes(Paths.get(order.text("input"))))
      .order(java.nio.ByteOrder.LITTLE_ENDIAN)
    val batch = order.int("batch")
    (0 until order.int("batches")).map { n =>
      Array.tabulate(batch) { place =>
        val rank = bytes.getInt((n * batch + place) * 4) & 0xffffffffL
        (Digest.mix(rank), value(place))
      }
    }
  }
}
