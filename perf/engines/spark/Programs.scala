package org.apache.spark.streaming.perf

import scala.collection.mutable

import org.apache.spark.rdd.RDD
import org.apache.spark.streaming.{State, StateSpec, StreamingContext}
import org.apache.spark.streaming.dstream.DStream

/** The workloads as programs for Spark. */
object Programs {
  def prepare(order: Words): Engine =
    (order.text("program"), order.get("variant")) match {
      case ("word-count", None) => wordCount(order, asInTheGuide)
      case ("word-count", Some("map-side")) => wordCount(order, onTheMapSide)
      case ("grep", None) => grep(order)
      case ("top", None) => top(order)
      case ("window", None) => window(order)
      case ("state", None) => state(order, update)
      case ("state", Some("map-with-state")) => state(order, mapWithState)
      case ("live", None) => new Live(order)
      case (program, _) => throw new IllegalArgumentException(s"$program is not written for Spark")
    }

  private def text(order: Words)(ssc: StreamingContext): IndexedSeq[RDD[String]] =
    Vector(ssc.sparkContext.parallelize(Input.lines(order), order.int("workers")))

  private def wordCount(order: Words, count: DStream[String] => DStream[(String, Long)]): Engine =
    new Queued[String](
      order,
      checkpoint = false,
      text(order),
      (lines, result) =>
        count(lines).foreachRDD(counts => result.digest = words(counts)))

  private[perf] def words(counts: RDD[(String, Long)]): Digest =
    counts.aggregate(Digest.zero)({ case (all, (word, count)) => all.word(word, count) }, _ + _)

  private[perf] def asInTheGuide(lines: DStream[String]): DStream[(String, Long)] =
    lines.flatMap(_.split(" ")).map((_, 1L)).reduceByKey(_ + _)

  /** Each partition counts into a table of its own first. */
  private def onTheMapSide(lines: DStream[String]): DStream[(String, Long)] =
    lines
      .mapPartitions { lines =>
        val counts = new java.util.HashMap[String, Array[Long]]
        lines.foreach { line =>
          var start = 0
          while (start <= line.length) {
            val space = line.indexOf(' ', start)
            val end = if (space < 0) line.length else space
            counts.computeIfAbsent(line.substring(start, end), _ => new Array[Long](1))(0) += 1
            start = end + 1
          }
        }
        new Iterator[(String, Long)] {
          private val entries = counts.entrySet.iterator
          override def hasNext: Boolean = entries.hasNext
          override def next(): (String, Long) = {
            val entry = entries.next()
            (entry.getKey, entry.getValue()(0))
          }
        }
      }
      .reduceByKey(_ + _)

  private def grep(order: Words): Engine = {
    val needle = order.text("needle")
    new Queued[String](
      order,
      checkpoint = false,
      text(order),
      (lines, result) =>
        lines.filter(_.contains(needle)).foreachRDD { found =>
          result.digest = Digest(found.count(), 0)
        })
  }

  private def top(order: Words): Engine = {
    val (window, n) = (order.int("window"), order.int("top"))
    def load(ssc: StreamingContext): IndexedSeq[RDD[String]] =
      Input.lines(order).grouped(order.int("batch")).take(order.int("batches")).toVector
        .map(lines => ssc.sparkContext.parallelize(lines, order.int("workers")))
    new Queued[String](
      order,
      checkpoint = true,
      load,
      { (lines, result) =>
        val slide = lines.slideDuration
        lines
          .flatMap(_.split(" "))
          .map((_, 1L))
          .reduceByKeyAndWindow(
            (a: Long, b: Long) => a + b,
            (a: Long, b: Long) => a - b,
            slide * window,
            slide,
            order.int("workers"),
            (pair: (String, Long)) => pair._2 != 0)
          .foreachRDD { counts =>
            val first = counts.takeOrdered(n)(Ordering.by(pair => (-pair._2, pair._1)))
            result.digest = first.zipWithIndex.foldLeft(Digest.zero) {
              case (all, ((word, count), place)) => all.word(word, (place + 1) * count)
            }
          }
      })
  }

  private def pairs(order: Words, value: Int => Long)(ssc: StreamingContext)
      : IndexedSeq[RDD[(Long, Long)]] =
    Input.batches(order, value)
      .map(batch => ssc.sparkContext.parallelize(batch, order.int("workers")))

  private def window(order: Words): Engine = {
    val length = order.int("window")
    new Queued[(Long, Long)](
      order,
      checkpoint = true,
      pairs(order, _ => 1L),
      { (keys, result) =>
        val slide = keys.slideDuration
        val sums = keys.reduceByKeyAndWindow(
          (a: Long, b: Long) => a + b,
          (a: Long, b: Long) => a - b,
          slide * length,
          slide,
          order.int("workers"),
          (pair: (Long, Long)) => pair._2 != 0)
        sums.foreachRDD(result.table(_))
      })
  }

  private def state(
      order: Words,
      declare: (Words, DStream[(Long, Long)], Result) => Unit): Engine = {
    val queued = new Queued[(Long, Long)](
      order,
      checkpoint = true,
      pairs(order, place => 1L + place % 100),
      declare(order, _, _))
    val keys = (0L until order.int("keys").toLong).map(rank => (Digest.mix(rank), 0L))
    queued.step(queued.context.sparkContext.parallelize(keys, order.int("workers")))
    queued
  }

  private def update(order: Words, pairs: DStream[(Long, Long)], result: Result): Unit =
    pairs
      .updateStateByKey(
        (values: Seq[Long], sum: Option[Long]) => Some(sum.getOrElse(0L) + values.sum),
        order.int("workers"))
      .foreachRDD(result.table(_))

  private def mapWithState(order: Words, pairs: DStream[(Long, Long)], result: Result): Unit = {
    val add = (key: Long, value: Option[Long], state: State[Long]) => {
      val sum = state.getOption.getOrElse(0L) + value.getOrElse(0L)
      state.update(sum)
      (key, sum)
    }
    val sums = pairs.mapWithState(StateSpec.function(add).numPartitions(order.int("workers")))
    sums.foreachRDD(sums => { sums.map(_._2).fold(0L)(_ + _); () })
    sums.stateSnapshots().foreachRDD(result.read(_))
  }
}
