package org.apache.spark.streaming.perf

import java.time.Instant
import java.util.concurrent.CountDownLatch
import java.util.concurrent.atomic.AtomicReference

import scala.collection.mutable

import org.apache.spark.storage.StorageLevel
import org.apache.spark.streaming.{Milliseconds, StreamingContext}
import org.apache.spark.streaming.dstream.DStream

/** Lines from a socket, in batches by the clock: told in `src/sender.rs`. */
final class Live(settings: Words) extends Engine {
  private val interval = Milliseconds(settings.int("interval_us") / 1000)
  // The receiver occupies a core, which the workers are beside.
  private val workers = settings.int("workers") + 1

  override def run(order: Words): Done = {
    val ssc = Settings.context(workers, interval, manual = false)
    val lines =
      ssc.socketTextStream("127.0.0.1", order.int("port"), StorageLevel.MEMORY_ONLY)
    val seen = new Seen(order.text("records").toLong)
    settings.text("work") match {
      case "words" => countWords(lines, seen)
      case "lines" => countLines(lines, seen)
    }
    val since = System.nanoTime()
    ssc.start()
    seen.ended.await()
    val nanos = System.nanoTime() - since
    ssc.stop(stopSparkContext = true, stopGracefully = false)
    Done(nanos, seen.digest.get, seen.facts)
  }

  private def countWords(lines: DStream[String], seen: Seen): Unit =
    Programs.asInTheGuide(lines).foreachRDD { counts =>
      val digest = Programs.words(counts)
      seen.add(Digest(counts.values.fold(0L)(_ + _), digest.sum))
    }

  private def countLines(lines: DStream[String], seen: Seen): Unit =
    lines.foreachRDD { lines =>
      val (count, dues) = lines.aggregate((0L, List.empty[Long]))(
        { case ((count, dues), line) =>
          (count + 1, if (line.startsWith("@")) line.substring(1).toLong :: dues else dues)
        },
        (a, b) => (a._1 + b._1, a._2 ::: b._2))
      seen.late(dues)
      seen.add(Digest(count, dues.sum))
    }
}

/** What came out so far. */
final class Seen(expected: Long) {
  val ended = new CountDownLatch(1)
  val digest = new AtomicReference(Digest.zero)
  private val latencies = mutable.ArrayBuffer.empty[Long]

  def add(part: Digest): Unit = {
    val all = digest.updateAndGet(_ + part)
    if (all.count >= expected) ended.countDown()
  }

  def late(dues: List[Long]): Unit = latencies.synchronized {
    val now = Instant.now()
    val nanos = now.getEpochSecond * 1000000000L + now.getNano
    dues.foreach(due => latencies += nanos - due)
  }

  def facts: String = latencies.synchronized {
    val sorted = latencies.sorted
    def us(perMille: Int): Double =
      sorted(math.max(1, (sorted.length * perMille + 999) / 1000) - 1) / 1e3
    if (sorted.isEmpty) ""
    else s"p50_us=${us(500)} p99_us=${us(990)} p999_us=${us(999)} max_us=${us(1000)}"
  }
}
